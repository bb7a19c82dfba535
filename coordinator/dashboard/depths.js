// Score by drop depth: per task one chart, a line per way of training (standard, specialised, robust, fusion).
import {h, replace} from './dom.js';
import {lines} from './charts.js';

/** Fills root from result rows; false when there is nothing to draw yet. */
export function depthCharts(root, rows) {
  const tasks = new Map();
  const evaluated = rows.some((row) => row.kind === 'evaluate');
  for (const row of rows) {
    if (!row.primary || row.split !== 'eval' || row.depth === null || row.depth < 0 || (evaluated && row.kind !== 'evaluate')) continue;
    const label = nameOf(row);
    const lines_ = tasks.get(row.task) || tasks.set(row.task, new Map()).get(row.task);
    const points = lines_.get(label) || lines_.set(label, new Map()).get(label);
    const values = points.get(row.depth) || points.set(row.depth, []).get(row.depth);
    values.push(row.value);
  }
  const key = JSON.stringify([...tasks].map(([task, all]) => [task, [...all].map(([label, points]) => [label, [...points]])]));
  if (root.dataset.key === key) return tasks.size > 0;
  root.dataset.key = key;
  replace(root, h('h2', {}, 'Score by drop depth'), h('div', {class: 'grid'}, [...tasks].map(([task, all]) =>
    h('div', {class: 'card'}, h('h2', {}, task), lines({
      series: [...all].sort(([a], [b]) => a.localeCompare(b)).map(([label, points]) => ({
        label, dashed: label.startsWith('fusion'),
        points: [...points].sort(([a], [b]) => a - b).map(([depth, values]) => [depth, values.reduce((s, v) => s + v, 0) / values.length]),
      })),
      x: 'layers without adapters', y: 'dev score', integers: true,
    })))));
  return tasks.size > 0;
}

function nameOf(row) {
  if (!row.set) return row.drop;
  return row.kept ? `fusion, ${row.kept} kept` : 'fusion';
}
