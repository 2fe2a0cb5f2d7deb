// The page of a session that does not exist any more.
import { Copy } from "./copy";
import { need } from "./dom";
import { offerKept } from "./keptcopy";

const copy = await Copy.open(document.body.dataset.session ?? "");
const offer = offerKept(copy, true);
if (offer) need("#kept").append(offer);
