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

  return { data, colour, number, moment, tip, base, xAxis, chart };
})();
