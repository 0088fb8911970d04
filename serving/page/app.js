/** Starts the page: takes up what a reload interrupted, follows the address, and draws. */
import { render } from "./vendor/lit-html/lit-html.js";
import { answer, openFile } from "./article.js";
import { learn, watch } from "./server.js";
import { change, drawnBy, restore, state } from "./state.js";
import { t } from "./words.js";
import { articleView } from "./views/article.js";
import { frame } from "./views/frame.js";

const root = document.getElementById("app");
const later = { many: "./views/many.js", programs: "./views/programs.js", report: "./views/report.js" };
const views = { article: articleView };
const loading = () => "";

/** A view that is not needed at once is loaded when it is asked for. */
function viewOf(name) {
  if (!views[name]) {
    views[name] = loading;
    import(later[name]).then(({ view }) => {
      views[name] = view;
      change();
    });
  }
  return views[name];
}

const report = new URLSearchParams(location.search).get("report");

function follow() {
  const asked = location.hash.slice(1);
  const name = Object.hasOwn(later, asked) || asked === "article" ? asked : report ? "report" : "article";
  change({ view: name, problem: "" });
}

function draw() {
  document.title = state.view === "article" ? t("brand") : `${t(`${state.view}_title`)} · ${t("brand")}`;
  document.body.classList.toggle("dropping", state.dropping);
  render(frame(viewOf(state.view)()), root);
}

/** What holds many articles wherever it is dropped. */
const TABLES = /\.(csv|tsv|xlsx|jsonl|ndjson|zip)$/i;

function takeDrops() {
  let depth = 0;
  const files = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => files(event) && change({ dropping: (depth += 1) > 0 }));
  addEventListener("dragleave", (event) => files(event) && change({ dropping: (depth -= 1) > 0 }));
  addEventListener("dragover", (event) => files(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!files(event)) return;
    event.preventDefault();
    depth = 0;
    change({ dropping: false });
    const [file, ...more] = event.dataTransfer.files;
    if (!file) return;
    if (state.view === "many" || TABLES.test(file.name)) {
      location.hash = "many";
      (await import("./table.js")).openTable(file);
    } else if (more.length) change({ problem: t("several_files") });
    else openFile(file);
  });
}

// Counts down, where something is waited for.
setInterval(() => {
  const waits = Object.values(state.answers).some((one) => one.status === "waiting");
  if (waits || state.nextTryMs) change();
}, 1000);

drawnBy(draw);
const open = restore();
// What the library does not know is thrown out: it draws into an empty place.
root.replaceChildren();
follow();
addEventListener("hashchange", follow);
addEventListener("infolens-key", learn);
takeDrops();
watch();
learn();
if (state.asked && open.length) answer(open);
// Ratings that wait from before are sent, whatever is looked at now.
import("./feedback/outbox.js");
