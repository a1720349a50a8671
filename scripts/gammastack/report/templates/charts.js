// Charts, drawn by uPlot from the data beside them.

const INK = "#1b1f24", BLUE = "#0a4fa0", ORANGE = "#b45309", GREY = "#8b949e";

function axis(label, more) {
  return { label, stroke: INK, grid: { stroke: "#e5e7eb", width: 1 }, labelSize: 20, size: 48, ...more };
}

/** Draw error bars, and a ring with the number of the run around outliers. */
function errorBars(errors, outlier, names) {
  return (chart) => {
    const { ctx } = chart;
    ctx.save();
    ctx.strokeStyle = BLUE;
    ctx.fillStyle = ORANGE;
    ctx.lineWidth = devicePixelRatio;
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    chart.data[0].forEach((value, i) => {
      const middle = chart.data[1][i];
      if (value === null || middle === null) return;
      const x = chart.valToPos(value, "x", true);
      const y = (shift) => chart.valToPos(middle + shift, "y", true);
      ctx.beginPath();
      ctx.moveTo(x, y(-errors[i]));
      ctx.lineTo(x, y(errors[i]));
      ctx.stroke();
      if (outlier && outlier[i]) {
        ctx.save();
        ctx.strokeStyle = ORANGE;
        ctx.lineWidth = 2 * devicePixelRatio;
        ctx.beginPath();
        ctx.arc(x, y(0), 7 * devicePixelRatio, 0, 2 * Math.PI);
        ctx.stroke();
        const onLeft = x > chart.bbox.left + chart.bbox.width / 2;
        ctx.textAlign = onLeft ? "right" : "left";
        ctx.fillText(names[i], x + (onLeft ? -10 : 10) * devicePixelRatio, y(0));
        ctx.restore();
      }
    });
    ctx.restore();
  };
}

const points = { label: "norm", stroke: BLUE, width: 0, paths: () => null, points: { show: true, size: 5, fill: BLUE } };

/** Sort the columns of data by the first one, as uPlot requires. */
function sorted(columns) {
  const order = columns[0].map((_, i) => i).filter((i) => columns[0][i] !== null);
  order.sort((i, j) => columns[0][i] - columns[0][j]);
  return columns.map((column) => order.map((i) => column[i]));
}

function padded(chart, low, high) {
  const margin = (high - low) * 0.05 || 1;
  return [low - margin, high + margin];
}

/** Return a range that has room for the error bars. */
function withErrors(values, errors) {
  const ends = values.flatMap((value, i) => [value - errors[i], value + errors[i]]);
  return () => padded(null, ends.reduce((a, b) => Math.min(a, b)), ends.reduce((a, b) => Math.max(a, b)));
}

function normChart(data, x, label, values) {
  const [position, norm, error, outlier, names] = sorted([x, data.norm, data.error, data.outlier, data.obs_id]);
  return [{
    scales: { x: { time: false, range: padded }, y: { range: withErrors(norm, error) } },
    axes: [axis(label, values && { values }), axis("background norm")],
    series: [{ label }, points],
    hooks: { draw: [errorBars(error, outlier, names)] },
    legend: { show: false },
  }, [position, norm]];
}

const KINDS = {
  histogram: (data) => [[{
    scales: { x: { time: false }, y: { distr: 3, range: (chart, low, high) => [0.5, Math.max(high, 10) * 2] } },
    axes: [axis("significance (σ)"), axis("pixels")],
    series: [
      { label: "σ" },
      { label: "outside the exclusions", stroke: BLUE, width: 2, paths: uPlot.paths.stepped({ align: 0 }), points: { show: false } },
      { label: "inside", stroke: ORANGE, width: 2, dash: [2, 2], paths: uPlot.paths.stepped({ align: 0 }), points: { show: false } },
      { label: "expected: mean 0, width 1", stroke: GREY, width: 2, dash: [8, 4], points: { show: false } },
      { label: "fitted", stroke: INK, width: 1, points: { show: false } },
    ],
    legend: { live: false },
  }, [data.center, ...[data.outside, data.inside, data.expected, data.fitted].map(
    (values) => values.map((value) => (value === null || value < 0.5 ? null : value)))]]],
  growth: (data) => [
    [{
      scales: { x: { time: false, range: (chart, low, high) => [0, high * 1.03] }, y: { range: withErrors(data.excess, data.error) } },
      axes: [axis("livetime (h)"), axis("excess (counts)")],
      series: [{ label: "h" }, { ...points, label: "excess" }],
      hooks: { draw: [errorBars(data.error)] },
      legend: { show: false },
    }, [data.livetime, data.excess]],
    [{
      scales: { x: { time: false, range: (chart, low, high) => [0, high * 1.03] }, y: { range: padded } },
      axes: [axis("livetime (h)"), axis("significance (σ)")],
      series: [{ label: "h" }, { ...points, label: "significance" },
        { label: "grows with the root of time", stroke: GREY, dash: [8, 4], points: { show: false } }],
      legend: { show: false },
    }, [data.livetime, data.significance, data.livetime.map(
      (hours) => data.significance.at(-1) * Math.sqrt(hours / data.livetime.at(-1)))]],
  ],
  norms: (data) => {
    const run = data.obs_id.map((_, i) => i + 1);
    const charts = [normChart(data, run, "run, in the order of time"), normChart(data, data.mjd, "time (MJD)", (chart, ticks) => ticks.map(String))];
    if (data.zenith.some((value) => value !== null)) charts.push(normChart(data, data.zenith, "zenith angle (deg)"));
    return charts;
  },
};

function startCharts(plot) {
  const data = JSON.parse(plot.nextElementSibling.textContent);
  for (const [options, columns] of KINDS[plot.dataset.kind](data)) {
    const place = plot.appendChild(document.createElement("div"));
    const size = () => ({ width: place.clientWidth, height: 230 });
    const chart = new uPlot({ ...size(), ...options }, columns, place);
    new ResizeObserver(() => chart.setSize(size())).observe(place);
  }
}
