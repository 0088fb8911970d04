/** What is asked of the reader beside an answer: how good it is; and where it is withheld, what he would say himself. */
export { audit, compared } from "./audit.js";
export { rating } from "./rating.js";
