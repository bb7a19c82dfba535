// One job: what it is, why it waits, its curves, results, attempts, events, files and the end of its log.
import {duration, h, number, parameters, replace, state, time} from './dom.js';
import {follow, get, post} from './api.js';
import {lines} from './charts.js';

const LOG_BYTES = 16384;
const ENDED = ['succeeded', 'failed', 'diverged', 'stopped', 'cancelled', 'skipped'];

export async function jobPage(root, sweep, id) {
  const path = `/sweeps/${encodeURIComponent(sweep)}/jobs/${id}`;
  const head = h('section', {class: 'card'});
  const charts = h('div', {class: 'grid'});
  const rest = h('div');
  const log = h('pre', {class: 'log', tabindex: '0', 'aria-label': 'Log'});
  replace(root, head, charts, rest, h('section', {class: 'card'}, h('h2', {}, 'Log'), log));
  const drawn = new Map();
  const refresh = async () => {
    const [job, metrics, events, text] = await Promise.all([get(path), get(`${path}/metrics`, {max: 500}),
      get(`${path}/events`, {limit: 200}), get(`${path}/log`, {tail: LOG_BYTES})]);
    replace(head, header(job, async () => { await post(`${path}/cancel`); await refresh(); }));
    drawCharts(charts, drawn, metrics.series);
    replace(rest, results(job), attempts(job), eventList(events.items), files(job), settings(job));
    const follows = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.textContent = text || 'Nothing has been logged.';
    if (follows) log.scrollTop = log.scrollHeight;
  };
  await refresh();
  return follow(sweep, refresh);
}

function header(job, cancel) {
  const fact = (value, name) => h('div', {class: 'fact'}, h('b', {}, value), h('span', {}, name));
  const title = [job.stage, job.task, job.drop, job.set, job.keep ? `keep ${job.keep}` : '', parameters(job.parameters)].filter(Boolean).join(' · ');
  return [
    h('div', {class: 'head'}, h('h1', {}, title), state(job.state), h('span', {class: 'grow'}),
      ENDED.includes(job.state) ? null : h('button', {class: 'plain danger', onclick: cancel}, 'Cancel job')),
    h('p', {class: 'quiet'}, h('code', {}, job.id), job.cause ? ` · ${job.cause}` : '', job.explain ? ` · ${job.explain}` : ''),
    h('div', {class: 'facts'}, fact(number(job.objective), 'score'), fact(job.epochs ? `${job.epoch ?? 0} / ${job.epochs}` : '–', 'epochs'),
      fact(duration(job.started, job.ended), 'time'), fact(job.attempt || 0, 'attempt'), fact(job.worker || '–', 'worker'),
      fact(job.device || '–', 'device'),
      job.cached ? fact(h('a', {href: `#/sweeps/${encodeURIComponent(job.source)}`}, job.source), 'result reused from') : null),
  ];
}

// One chart a metric; evaluations at several depths are the lines of one chart.
function drawCharts(root, drawn, series) {
  const groups = new Map();
  for (const line of series) {
    const label = line.depth >= 0 ? `depth ${line.depth}` : line.name;
    groups.set(line.name, [...(groups.get(line.name) || []), {label, points: line.points.map(([x, y]) => [x, y])}]);
  }
  for (const [name, group] of groups) {
    if (drawn.has(name)) { drawn.get(name).update(group); continue; }
    const chart = lines({series: group, x: 'step', y: name, legend: group.length > 1});
    drawn.set(name, chart);
    root.append(h('section', {class: 'card'}, h('h2', {}, name), chart));
  }
}

function section(title, columns, rows) {
  if (!rows.length) return null;
  return h('section', {class: 'card'}, h('h2', {}, title), h('div', {class: 'scroll'}, h('table', {},
    h('thead', {}, h('tr', {}, columns.map((name) => h('th', {}, name)))), h('tbody', {}, rows))));
}

const cells = (...values) => h('tr', {}, values.map((value) => h('td', {class: typeof value === 'string' && value.length > 60 ? 'wrap' : null}, value)));

function results(job) {
  const rows = (job.result && job.result.rows) || [];
  return section('Results', ['Metric', 'Split', 'Depth', 'Value', 'Epoch'], rows.map((row) =>
    cells(row.metric + (row.primary ? ' (primary)' : ''), row.split, String(row.depth), number(row.value, 4), String(row.epoch))));
}

function attempts(job) {
  return section('Attempts', ['Try', 'Worker', 'Device', 'Started', 'Time', 'Outcome'], (job.attempts || []).filter((a) => typeof a === 'object').map((a) =>
    cells(`${a.generation}.${a.attempt}`, a.worker || '–', a.device || '–', time(a.started), duration(a.started, a.ended), a.outcome || a.state || '–')));
}

function eventList(items) {
  return section('Events', ['Time', 'Event', ''], items.map((event) => cells(time(event.time), event.type, event.text || '')));
}

function files(job) {
  return section('Files', ['Path', 'Bytes', 'SHA-256'], (job.files || []).map((file) =>
    cells(h('a', {href: `/api/v1/artifacts/${file.sha256}`, download: file.path.split('/').pop()}, file.path), String(file.size),
      h('code', {}, file.sha256.slice(0, 16)))));
}

function settings(job) {
  return h('section', {class: 'card'}, h('h2', {}, 'Settings'), h('pre', {class: 'log'}, JSON.stringify(job.settings, null, 2)));
}
