// Draws the plot. What it is given may come from anybody: it only ever becomes text.
(() => {
  "use strict";

  const { data, colour, moment, tip, base, xAxis, chart } = frame;

  function size(bytes) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    while (bytes >= 1000 && units.length > 1) {
      bytes /= 1000;
      units.shift();
    }
    return bytes.toFixed(1) + " " + units[0];
  }

  function curve(name, points, style) {
    return {
      type: "line", name, data: points, showSymbol: false, symbolSize: 5,
      lineStyle: { color: colour(style.colour), width: style.width, type: style.type },
      itemStyle: { color: colour(style.colour) },
    };
  }

  // A limit is a line from the first point to the last.
  function across(limit) {
    const all = data.was.concat(data.likely);
    return curve(limit.name + " of " + size(limit.bytes), [[all[0][0], limit.bytes], [all[all.length - 1][0], limit.bytes]],
      { colour: "found-inside", width: 1, type: "solid" });
  }

  function plot(about) {
    const option = base(about);
    xAxis(option, { type: "time" });
    option.yAxis = {
      type: "value", min: 0, splitNumber: 4,
      axisLabel: { color: colour("quiet"), formatter: size }, splitLine: { lineStyle: { color: colour("line") } },
    };
    option.tooltip.trigger = "axis";
    option.tooltip.axisPointer = { lineStyle: { color: colour("quiet") } };
    option.tooltip.formatter = (items) => tip(moment(items[0].value[0]), items.map((item) => item.seriesName + ": " + size(item.value[1])));
    option.series = [
      curve("was", data.was, { colour: "bar", width: 2, type: "solid" }),
      curve("expected", data.likely, { colour: "bar", width: 2, type: "dashed" }),
      curve("lowest", data.low, { colour: "quiet", width: 1, type: "dotted" }),
      curve("highest", data.high, { colour: "quiet", width: 1, type: "dotted" }),
      ...data.limits.map(across),
    ];
    return option;
  }

  if (data.was.length + data.likely.length > 1) {
    chart("chart-size", plot);
  }
})();
