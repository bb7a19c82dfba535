// One sweep: progress by stage, learning curves, score by drop depth, and its jobs.
import {done, duration, h, progress, replace, state} from './dom.js';
import {follow, get, post} from './api.js';
import {lines} from './charts.js';
import {depthCharts} from './depths.js';
import {jobsTable} from './jobs_table.js';

const MAX_CURVES = 40;
const MAX_ROWS = 20000;

// Every page of the result rows, up to MAX_ROWS: the charts by depth need all of them.
async function resultRows(path) {
  const rows = [];
  let cursor = '';
  do {
    const page = await get(`${path}/results`, {limit: 1000, cursor});
    rows.push(...page.items);
    cursor = page.next;
  } while (cursor && rows.length < MAX_ROWS);
  return rows;
}

export async function sweepPage(root, id) {
  const path = `/sweeps/${encodeURIComponent(id)}`;
  const head = h('section', {class: 'card'});
  const curves = curvesCard(path);
  const depths = h('section', {class: 'card'});
  const first = await get(path);
  const jobs = jobsTable(path, id, first);
  const slow = h('section', {});
  replace(root, head, slow, curves.element, depths, jobs.element);
  let sweep = first;
  const refresh = async () => {
    sweep = await get(path);
    replace(head, header(sweep, {
      cancel: async () => {
        if (!confirm(`Cancel the sweep ${sweep.name}? Running jobs are ended.`)) return;
        await post(`${path}/cancel`);
        await refresh();
      },
      stop: async () => {
        if (!confirm(`Stop the sweep ${sweep.name}? Running jobs go on to their end, nothing more is started.`)) return;
        await post(`${path}/stop`, {now: false});
        await refresh();
      },
      pause: async () => {
        await post(`${path}/change`, {paused: sweep.state !== 'paused'});
        await refresh();
      },
      retry: async () => {
        await post(`${path}/retry`);
        await refresh();
      },
    }));
    replace(slow, ...(sweep.stragglers || []).map((one) => h('p', {class: 'quiet'},
      `${one.job} is slow: its epoch takes ${duration(one.epoch_ms)}, those of its peers ${duration(one.median_ms)} (median)`)));
    const [results] = await Promise.all([resultRows(path), curves.refresh(sweep), jobs.refresh()]);
    depths.hidden = !depthCharts(depths, results);
  };
  await refresh();
  return follow(id, refresh);
}

function header(sweep, {cancel, stop, pause, retry}) {
  const fact = (value, name) => h('div', {class: 'fact'}, h('b', {}, value), h('span', {}, name));
  return [
    h('div', {class: 'head'}, h('h1', {}, sweep.name), state(sweep.state), h('span', {class: 'grow'}),
      sweep.counts.failed ? h('button', {class: 'plain', onclick: retry}, 'Retry failed') : null,
      sweep.ended ? null : h('button', {class: 'plain', onclick: pause}, sweep.state === 'paused' ? 'Resume' : 'Pause'),
      sweep.ended ? null : h('button', {class: 'plain', onclick: stop}, 'Stop'),
      sweep.ended ? null : h('button', {class: 'plain danger', onclick: cancel}, 'Cancel sweep')),
    progress(sweep.counts),
    h('div', {class: 'facts'},
      fact(`${done(sweep.counts)} / ${sweep.jobs}`, 'jobs ended'), sweep.reused ? fact(sweep.reused, 'reused') : null,
      sweep.saved && sweep.saved.epochs > 0 ? fact(`${sweep.saved.epochs} / ${sweep.saved.of}`, 'epochs saved by stopping') : null, fact(duration(sweep.created, sweep.ended), sweep.ended ? 'took' : 'so far'),
      (sweep.stages || []).map((stage) => fact(`${done(stage.counts)} / ${stage.jobs}`, stage.name))),
  ];
}

// Objective by epoch of up to MAX_CURVES jobs, filtered by task and drop.
function curvesCard(path) {
  const element = h('section', {class: 'card'});
  const task = h('select', {'aria-label': 'Task of the curves'});
  const box = h('div');
  const note = h('p', {class: 'quiet'});
  let chart = null;
  let known = '';
  const load = async () => {
    const answer = await get(`${path}/curves`, {task: task.value, limit: MAX_CURVES});
    const series = answer.items.filter((line) => line.points.length).map((line) => ({label: line.label, points: line.points}));
    note.textContent = series.length ? `${series.length} of ${answer.total ?? series.length} jobs; dev score after each epoch` :
      'Curves appear after the first epoch.';
    if (!chart) {
      chart = lines({series, x: 'optimizer step', y: 'dev score', legend: false});
      replace(box, chart);
    } else chart.update(series);
  };
  task.addEventListener('change', () => load().catch(() => {}));
  replace(element, h('div', {class: 'head'}, h('h2', {}, 'Learning curves'), h('span', {class: 'grow'}), task), box, note);
  const refresh = async (sweep) => {
    const names = ['', ...(sweep.tasks || [])];
    if (names.join() !== known) {
      known = names.join();
      replace(task, names.map((name) => h('option', {value: name}, name || 'all tasks')));
    }
    await load();
  };
  return {element, refresh};
}

