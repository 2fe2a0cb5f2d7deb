"""Everything between a fresh clone and a running Ensemble, with nothing but the standard library.

`python3.11 -m project.bootstrap run` (or `make run`) makes `.venv`, compiles llama.cpp, bundles the page and starts the server.
Each step leaves a stamp made from its inputs, so a second start does nothing again, and a step that was interrupted is redone.
"""
