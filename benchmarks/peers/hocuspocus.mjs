// Hocuspocus as its README starts it: in memory, everybody may come in.
import { Server } from "@hocuspocus/server";

const server = new Server({ port: Number(process.env.PORT), address: "127.0.0.1", quiet: true });
await server.listen();
console.log(`running at ${server.httpURL}`);
