// Loaded before a peer, with --expose-gc: what a heap has not yet collected is no use of memory.
process.on("SIGUSR2", () => globalThis.gc());
