// Routes: #/ sweeps, #/sweeps/ID one sweep, #/sweeps/ID/jobs/JOB one job. A page is a function (root, …ids) that fills
// root and returns what ends its live updates.
import {h, replace} from './dom.js';
import {clearCharts} from './charts.js';
import {sweepsPage} from './page_sweeps.js';
import {sweepPage} from './page_sweep.js';
import {jobPage} from './page_job.js';

const page = document.getElementById('page');
const crumbs = document.getElementById('crumbs');
let leave = null;
let visit = 0;

function trail(parts) {
  replace(crumbs, parts.map(([text, href]) => [' / ', h('a', {href}, text)]));
  document.title = [...parts.map(([text]) => text).reverse(), 'Fathom'].join(' · ');
}

async function route() {
  const mine = ++visit;
  if (leave) leave();
  leave = null;
  clearCharts();
  const parts = location.hash.replace(/^#\/?/, '').split('/').filter(Boolean).map(decodeURIComponent);
  const [, sweep, , job] = parts;
  const root = h('div');
  replace(page, root);
  try {
    let end;
    if (parts[0] !== 'sweeps' || !sweep) {
      trail([]);
      end = await sweepsPage(root);
    } else if (!job) {
      trail([[sweep, `#/sweeps/${encodeURIComponent(sweep)}`]]);
      end = await sweepPage(root, sweep);
    } else {
      trail([[sweep, `#/sweeps/${encodeURIComponent(sweep)}`], [job.slice(0, 8), location.hash]]);
      end = await jobPage(root, sweep, job);
    }
    if (mine === visit) leave = end;
    else end();
  } catch (error) {
    replace(root, h('p', {class: 'problem', role: 'alert'}, error.message));
  }
}

addEventListener('hashchange', () => { route().then(() => page.focus({preventScroll: true})); });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', route);
route();
