// What the page of a report uses of Apache ECharts, and nothing else. SVG rather than canvas: it prints sharp and is scaled
// by the browser.
import { init, use } from "echarts/core";
import { BarChart, LineChart, TreemapChart } from "echarts/charts";
import { AriaComponent, GridComponent, TooltipComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";

use([BarChart, LineChart, TreemapChart, AriaComponent, GridComponent, TooltipComponent, SVGRenderer]);

export { init };
