// What speaks of positions waits until the text is here that they count in.
import type { Connection } from "./connection";

/** Done at once, or as soon as this page has the server's text; forgotten when the connection is lost before that. */
export function afterSync(connection: Connection): (act: () => void) => void {
  const waiting: (() => void)[] = [];
  connection.on("open", () => {
    waiting.length = 0;
  });
  connection.on("synced", () => {
    for (const act of waiting.splice(0)) act();
  });
  return (act) => {
    if (connection.synced) act();
    else waiting.push(act);
  };
}
