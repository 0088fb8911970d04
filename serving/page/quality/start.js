/** Starts the page of the quality: reads the figures, follows the days that are asked for, and draws. */
import { render } from "../vendor/lit-html/lit-html.js";
import { learn, watch } from "../server.js";
import { change, drawnBy, restoreKey } from "../state.js";
import { t } from "../words.js";
import { frame } from "../views/frame.js";
import { follow, refresh, watchFigures } from "./reading.js";
import { view } from "./view.js";

const root = document.getElementById("app");

function draw() {
  document.title = `${t("quality_title")} · ${t("brand")}`;
  render(frame(view()), root);
}

drawnBy(draw);
restoreKey();
// What the library does not know is thrown out: it draws into an empty place.
root.replaceChildren();
change({ view: "quality" });
follow();
addEventListener("popstate", () => {
  follow();
  refresh();
});
addEventListener("infolens-key", () => {
  learn();
  refresh();
});
watchFigures();
watch();
learn();
