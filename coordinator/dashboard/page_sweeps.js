// All sweeps with their progress, and the workers that serve them.
import {done, duration, h, progress, replace, state, time} from './dom.js';
import {follow, get} from './api.js';

export async function sweepsPage(root) {
  const sweeps = h('div');
  const workers = h('section', {class: 'card'});
  replace(root, sweeps, workers);
  const refresh = async () => {
    const [list, crew] = await Promise.all([get('/sweeps', {limit: 200}), get('/workers')]);
    replace(sweeps, list.items.length ? list.items.map(card) : h('div', {class: 'card empty'},
      'No sweeps yet. Submit one with ', h('code', {}, 'fathom submit FILE.yaml'), '.'));
    replace(workers, h('h2', {}, 'Workers'), crew.items.length ? table(crew.items) : h('p', {class: 'quiet'},
      'No worker has joined. Jobs wait until one does: ', h('code', {}, 'fathom up'), ' starts one on this machine.'));
  };
  await refresh();
  return follow('', refresh);
}

function card(sweep) {
  const href = `#/sweeps/${encodeURIComponent(sweep.id)}`;
  return h('section', {class: 'card'},
    h('div', {class: 'head'}, h('h1', {}, h('a', {href}, sweep.name)), state(sweep.state), h('span', {class: 'grow'}),
      h('span', {class: 'quiet'}, `${done(sweep.counts)} of ${sweep.jobs} jobs ended · ${duration(sweep.created, sweep.ended)}`)),
    progress(sweep.counts),
    h('div', {class: 'quiet optional'}, `tasks: ${(sweep.tasks || []).join(', ')} · submitted ${time(sweep.created)}`));
}

function table(workers) {
  const rows = workers.flatMap((worker) => (worker.devices || []).map((device, i) => h('tr', {},
    h('td', {}, i ? '' : worker.name), h('td', {}, i ? '' : state(worker.state)), h('td', {class: 'mono'}, device.name),
    h('td', {class: 'num'}, `${device.running ?? 0} / ${device.slots}`))));
  // What a person should know: no room on a disk, a clock that is off, an excluded device.
  const notes = workers.flatMap((worker) => (worker.notes || []).map((note) => h('p', {class: 'quiet'}, `${worker.name}: ${note}`)));
  return h('div', {class: 'scroll'}, ...notes, h('table', {},
    h('thead', {}, h('tr', {}, h('th', {}, 'Worker'), h('th', {}, 'State'), h('th', {}, 'Device'), h('th', {class: 'num'}, 'Jobs / slots'))),
    h('tbody', {}, rows)));
}
