"""What made the embedded model: corpus, generated requests, tokenizer, training, evaluation, export, card.

    python -m inference.training --help        the steps, one by one; ``make model`` runs them all

The server imports nothing from here, and torch is needed by ``model``, ``train`` and ``export`` alone.
"""
