// Draws the charts and copies the rules. What it is given may come from anybody: it only ever becomes text.
(() => {
  "use strict";

  const { data, colour, number, moment, tip, base, xAxis, treemap, chart } = frame;

  function days(about) {
    const option = base(about);
    xAxis(option, { type: "category", data: data.days.map((day) => day.name) });
    option.yAxis = { type: "value", min: 0, show: false };
    option.tooltip.formatter = (item) => tip(item.name, [number(item.value) + " series"]);
    option.series = [{
      type: "bar",
      data: data.days.map((day) => day.series),
      barMaxWidth: 72,
      itemStyle: { color: colour("bar") },
      label: { show: true, position: "top", color: colour("text"), formatter: (item) => number(item.value) },
    }];
    return option;
  }

  function line(about) {
    const option = base(about);
    xAxis(option, { type: "time" });
    option.yAxis = {
      type: "value", min: 0, minInterval: 1, splitNumber: 4,
      axisLabel: { color: colour("quiet"), formatter: number }, splitLine: { lineStyle: { color: colour("line") } },
    };
    option.tooltip.trigger = "axis";
    option.tooltip.axisPointer = { lineStyle: { color: colour("quiet") } };
    option.tooltip.formatter = ([item]) => tip(moment(item.value[0]), [number(item.value[1]) + " series"]);
    option.series = [{
      type: "line",
      data: data.history,
      symbolSize: 5,
      showSymbol: data.history.length < 40,
      lineStyle: { color: colour("bar"), width: 2 },
      itemStyle: { color: colour("bar") },
    }];
    return option;
  }

  function copyBySelection(source) {
    getSelection().selectAllChildren(source);
    return document.execCommand("copy");
  }

  // The clipboard is there for a page from a disk or by TLS; from elsewhere the selection is what is left.
  async function copied(source) {
    try {
      await navigator.clipboard.writeText(source.textContent);
      return true;
    } catch {
      return copyBySelection(source);
    }
  }

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const done = await copied(document.getElementById(button.dataset.copy));
      document.getElementById("said").textContent = done ? "Copied." : "Not copied: the text is selected.";
      button.firstChild.textContent = done ? "Copied" : "Selected";
      setTimeout(() => { button.firstChild.textContent = "Copy"; }, 2000);
    });
  }

  chart("chart-map", (about) => treemap(about, data.tree));
  chart("chart-days", days);
  chart("chart-history", line);
})();
