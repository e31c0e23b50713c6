// Draws the charts and copies the rules. What it is given may come from anybody: it only ever becomes text.
(() => {
  "use strict";

  const { data, colour, number, moment, tip, base, xAxis, chart } = frame;

  // The depth is that of a metric, of its labels, of their values.
  function tint(depth, found) {
    const [plain, marked] = [["plain", "found"], ["plain-inside", "found-inside"], ["value", "value"]][depth];
    const own = colour(found ? marked : plain);
    return { color: own, borderColor: depth === 2 ? colour("back") : own };
  }

  function coloured(nodes, depth) {
    return nodes.map((node) => ({
      name: node.name,
      value: node.value,
      lines: node.lines || [],
      itemStyle: tint(depth, node.found),
      children: node.children && coloured(node.children, depth + 1),
    }));
  }

  function map(about) {
    const on = colour("on");
    const name = (item) => item.name;
    const option = base(about);
    option.tooltip.formatter = (item) => (item.data ? tip(item.name, item.data.lines) : "");
    option.series = [{
      type: "treemap",
      name: "all",
      animation: false,
      data: coloured(data.tree, 0),
      left: 0, right: 0, top: 0, bottom: 36,
      roam: false,
      leafDepth: 2,
      drillDownIcon: "",
      visibleMin: 60,
      childrenVisibleMin: 4000,
      label: { formatter: name, color: on, fontSize: 12, overflow: "truncate", lineOverflow: "truncate" },
      upperLabel: { show: true, height: 22, formatter: name, color: on, fontSize: 12, overflow: "truncate" },
      breadcrumb: {
        height: 26, bottom: 2, left: 0,
        itemStyle: { color: colour("panel"), borderColor: colour("line"), borderWidth: 1, textStyle: { color: colour("text") } },
        emphasis: { itemStyle: { color: colour("line"), textStyle: { color: colour("text") } } },
      },
      levels: [
        { itemStyle: { borderWidth: 0, gapWidth: 3, borderColor: colour("back") }, upperLabel: { show: false } },
        { itemStyle: { borderWidth: 2, gapWidth: 2 } },
        { itemStyle: { borderWidth: 1, gapWidth: 1 } },
        { itemStyle: { borderWidth: 1, gapWidth: 1 }, upperLabel: { show: false } },
      ],
    }];
    return option;
  }

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

  chart("chart-map", map);
  chart("chart-days", days);
  chart("chart-history", line);
})();
