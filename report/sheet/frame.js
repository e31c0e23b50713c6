// What the pages of all reports have in common: their colours, texts and charts. What it is given may come from anybody: it only
// ever becomes text.
const frame = (() => {
  "use strict";

  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("screen and (prefers-color-scheme: dark)");

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const number = (value) => value.toLocaleString("en");

  const moment = (milliseconds) => new Date(milliseconds).toISOString().slice(0, 16).replace("T", " ") + " UTC";

  // An element and not a string: ECharts takes a string for HTML.
  function tip(title, lines) {
    const box = document.createElement("div");
    box.className = "tip";
    box.appendChild(document.createElement("strong")).textContent = title;
    for (const line of lines) {
      box.appendChild(document.createElement("span")).textContent = line;
    }
    return box;
  }

  function base(about) {
    const font = getComputedStyle(document.body).fontFamily;
    return {
      animation: false,
      useUTC: true,
      aria: { enabled: true, label: { description: about } },
      textStyle: { fontFamily: font },
      tooltip: {
        confine: true,
        transitionDuration: 0,
        backgroundColor: colour("back"),
        borderColor: colour("line"),
        textStyle: { color: colour("text"), fontFamily: font },
      },
    };
  }

  function xAxis(option, axis) {
    const line = { lineStyle: { color: colour("line") } };
    option.grid = { left: 8, right: 24, top: 24, bottom: 8, outerBoundsMode: "same" };
    option.xAxis = { axisLabel: { color: colour("quiet"), hideOverlap: true }, axisLine: line, axisTick: line, ...axis };
  }

  // The depth is that of a rectangle in a treemap, such as a metric, its labels, their values.
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

  // A node has a name, a value, lines for its tip, whether a finding is about it, and nodes inside it.
  function treemap(about, nodes) {
    const on = colour("on");
    const name = (item) => item.name;
    const option = base(about);
    option.tooltip.formatter = (item) => (item.data ? tip(item.name, item.data.lines) : "");
    option.series = [{
      type: "treemap",
      name: "all",
      animation: false,
      data: coloured(nodes, 0),
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

  function chart(id, option) {
    const place = document.getElementById(id);
    if (!place) {
      return;
    }
    const figure = place.closest("figure");
    const about = figure.querySelector("figcaption").firstChild.textContent.trim();
    figure.hidden = false;
    const drawn = echarts.init(place, null, { renderer: "svg" });
    const draw = () => drawn.setOption(option(about), true);
    draw();
    dark.addEventListener("change", draw);
    new ResizeObserver(() => drawn.resize()).observe(place);
  }

  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) {
      details.open = true;
    }
  });

  return { data, colour, number, moment, tip, base, xAxis, treemap, chart };
})();
