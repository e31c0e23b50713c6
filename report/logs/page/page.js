// Draws the chart. What it is given may come from anybody: it only ever becomes text.
(() => {
  "use strict";

  const { data, treemap, chart } = frame;

  if (data.tree.length > 0) {
    chart("chart-map", (about) => treemap(about, data.tree));
  }
})();
