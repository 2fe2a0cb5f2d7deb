// Hocuspocus as its README starts it: in memory, everybody may come in.
import { Server } from "@hocuspocus/server";

// Somebody from whom nothing comes for a minute is closed: while others are measured, the load generator's clients are silent.
const server = new Server({ port: Number(process.env.PORT), address: "127.0.0.1", quiet: true, timeout: 3_600_000 });
await server.listen();
console.log(`running at ${server.httpURL}`);
