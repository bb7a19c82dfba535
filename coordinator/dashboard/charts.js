// Line charts (Chart.js, packaged with the coordinator) in the page's own colours.
import {h} from './dom.js';

const PALETTE = ['#1f6feb', '#d9730d', '#1a9c5b', '#c2409c', '#8250df', '#0b9aa8', '#b08800', '#d1453b', '#5c6878', '#7a9a01'];
const charts = new Set();

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

/** Ends every chart of the page that is left. */
export function clearCharts() {
  for (const chart of charts) chart.destroy();
  charts.clear();
}

/**
 * series: [{label, points: [[x, y], …], dashed?}]. Returns an element with update(series): the same chart with new points.
 */
export function lines({series, x, y, legend = true, integers = false}) {
  const canvas = h('canvas', {role: 'img', 'aria-label': `${y} by ${x}`});
  const box = h('div', {class: 'chart'}, canvas);
  const grid = colour('--line');
  const text = colour('--quiet');
  const axis = (title, whole) => ({type: 'linear', title: {display: true, text: title, color: text}, grid: {color: grid},
    ticks: {color: text, precision: whole ? 0 : undefined, stepSize: whole ? 1 : undefined}});
  const chart = new window.Chart(canvas, {
    type: 'line',
    data: {datasets: datasets(series)},
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
      interaction: {mode: 'nearest', intersect: false},
      plugins: {legend: {display: legend && series.length > 0, position: 'bottom', labels: {color: text, boxWidth: 14, boxHeight: 2}}},
      scales: {x: axis(x, integers), y: axis(y, false)},
    },
  });
  charts.add(chart);
  box.update = (fresh) => { chart.data.datasets = datasets(fresh); chart.update(); };
  return box;
}

function datasets(series) {
  return series.map((line, i) => ({
    label: line.label,
    data: line.points.map(([px, py]) => ({x: px, y: py})),
    borderColor: PALETTE[i % PALETTE.length], backgroundColor: PALETTE[i % PALETTE.length],
    borderWidth: 2, borderDash: line.dashed ? [5, 4] : [], pointRadius: line.points.length > 40 ? 0 : 3, tension: 0,
  }));
}
