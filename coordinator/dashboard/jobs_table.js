// The jobs of a sweep: filter, sort and page on the server, so that it works at 100,000 jobs.
import {duration, h, number, parameters, replace, state, STATES} from './dom.js';
import {get} from './api.js';

const PAGE = 25;
const COLUMNS = [['stage', 'Stage', 'optional'], ['task', 'Task'], ['drop', 'Drop'], ['', 'Settings'], ['seed', 'Seed', 'num optional'],
  ['state', 'State'], ['epoch', 'Epoch', 'num optional'], ['objective', 'Score', 'num'], ['attempt', 'Try', 'num optional'],
  ['started', 'Time', 'num optional']];

export function jobsTable(path, sweep, object) {
  const view = {state: '', stage: '', task: '', drop: '', q: '', sort: 'number', order: 'asc', cursors: ['']};
  const head = h('tr');
  const body = h('tbody');
  const pager = h('div', {class: 'pager'});
  const element = h('section', {class: 'card'}, h('h2', {}, 'Jobs'), filters(view, object, () => restart()),
    h('div', {class: 'scroll'}, h('table', {}, h('thead', {}, head), body)), pager);

  let asked = 0;
  const refresh = async () => {
    const mine = ++asked;
    const {cursors, ...query} = view;
    const answer = await get(`${path}/jobs`, {...query, limit: PAGE, cursor: cursors.at(-1)});
    if (mine !== asked) return;  // another page was asked for meanwhile
    replace(head, COLUMNS.map((column) => header(column, view, restart)));
    replace(body, answer.items.length ? answer.items.map((job) => row(job, sweep)) :
      h('tr', {}, h('td', {colspan: COLUMNS.length, class: 'empty'}, 'No job matches these filters.')));
    const firstShown = (cursors.length - 1) * PAGE + 1;
    replace(pager,
      h('span', {}, answer.total ? `${firstShown}–${firstShown + answer.items.length - 1} of ${answer.total}` : ''),
      h('button', {class: 'plain', disabled: cursors.length === 1, onclick: () => { cursors.pop(); refresh(); }}, 'Previous'),
      h('button', {class: 'plain', disabled: !answer.next, onclick: () => { cursors.push(answer.next); refresh(); }}, 'Next'));
  };
  const restart = () => { view.cursors = ['']; return refresh().catch(() => {}); };
  return {element, refresh};
}

function header([key, title, classes], view, restart) {
  if (!key) return h('th', {}, title);
  const active = view.sort === key;
  const turn = () => { view.order = active && view.order === 'asc' ? 'desc' : 'asc'; view.sort = key; restart(); };
  return h('th', {class: classes, 'aria-sort': active ? `${view.order}ending` : null},
    h('button', {onclick: turn}, `${title}${active ? (view.order === 'asc' ? ' ↑' : ' ↓') : ''}`));
}

function row(job, sweep) {
  const href = `#/sweeps/${encodeURIComponent(sweep)}/jobs/${job.id}`;
  const settings = [job.set, job.keep ? `keep ${job.keep}` : '', parameters(job.parameters)].filter(Boolean).join(', ') || job.id.slice(0, 8);
  return h('tr', {}, h('td', {class: 'optional'}, job.stage), h('td', {}, job.task), h('td', {}, job.drop), h('td', {}, h('a', {href}, settings)),
    h('td', {class: 'num optional'}, job.seed), h('td', {}, state(job.state), job.cached ? h('span', {class: 'quiet', title: `of sweep ${job.source}`}, ' reused') : null),
    h('td', {class: 'num optional'}, job.epochs ? `${job.epoch ?? 0}/${job.epochs}` : ''), h('td', {class: 'num'}, number(job.objective)),
    h('td', {class: 'num optional'}, job.attempt || ''), h('td', {class: 'num optional'}, duration(job.started, job.ended)));
}

function filters(view, sweep, changed) {
  const choice = (key, title, names) => h('select', {'aria-label': title, onchange: (event) => { view[key] = event.target.value; changed(); }},
    h('option', {value: ''}, title), names.map((name) => h('option', {value: name}, name)));
  let timer = 0;
  const search = h('input', {type: 'search', placeholder: 'Search id, task, settings', 'aria-label': 'Search jobs',
    oninput: (event) => { clearTimeout(timer); timer = setTimeout(() => { view.q = event.target.value; changed(); }, 250); }});
  return h('div', {class: 'filters'}, choice('state', 'any state', STATES), choice('stage', 'any stage', (sweep.stages || []).map((s) => s.name)),
    choice('task', 'any task', sweep.tasks || []), search);
}
