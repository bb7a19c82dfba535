// REST and server-sent events of the coordinator (docs/protocol.md).

export class Problem extends Error {}

export async function get(path, query = {}) {
  const wanted = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== '' && value !== null && value !== undefined));
  const text = wanted.toString();
  const response = await fetch(`/api/v1${path}${text ? `?${text}` : ''}`, {headers: {Accept: 'application/json, text/plain'}});
  return read(response);
}

export async function post(path, body = {}) {
  const headers = {'Content-Type': 'application/json'};
  return read(await fetch(`/api/v1${path}`, {method: 'POST', headers, body: JSON.stringify(body)}));
}

async function read(response) {
  const type = response.headers.get('Content-Type') || '';
  const body = type.includes('json') ? await response.json() : await response.text();
  if (response.ok) return body;
  if (response.status === 401) throw new Problem('This browser is not logged in. Run "fathom dashboard" and open the link it prints.');
  throw new Problem(body.detail || body.title || `The coordinator answered ${response.status}.`);
}

/**
 * Calls changed(), which returns a promise, at most once a second while events of the sweep (or of all) arrive, never
 * twice at once, and again after an answer that failed; returns a function that ends it. The browser reconnects by
 * itself and resumes with Last-Event-ID.
 *
 * A page that nobody sees (another tab in front, or left and kept for the Back button) holds no stream: browsers open
 * six connections to one address, and streams of such pages would use them all up. It refreshes when it is seen again.
 */
export function follow(sweep, changed) {
  const light = document.getElementById('live');
  let source = null;
  let timer = 0;
  let last = Date.now();
  let busy = false;
  let again = false;  // something happened while the answer to the last call was on its way
  let ended = false;
  const soon = () => {
    if (busy) again = true;
    else if (!timer && !ended) timer = setTimeout(run, Math.max(50, 1000 - (Date.now() - last)));
  };
  const run = async () => {
    timer = 0;
    busy = true;
    last = Date.now();
    again = await changed().then(() => again, () => true);
    busy = false;
    if (again) { again = false; soon(); }
  };
  const show = (name, text) => { light.className = `live ${name}`; light.textContent = text; };
  const listen = () => {
    source = new EventSource(`/api/v1/events${sweep ? `?sweep=${encodeURIComponent(sweep)}` : ''}`);
    source.onopen = () => { show('on', 'live'); soon(); };  // something may have happened before the stream began
    source.onerror = () => show('off', 'reconnecting');
    for (const type of ['sweep', 'job', 'metric', 'worker']) source.addEventListener(type, soon);
  };
  const pause = () => { if (source) source.close(); source = null; };
  const seen = () => {
    if (document.hidden) pause();
    else if (!source && !ended) listen();
  };
  document.addEventListener('visibilitychange', seen);
  window.addEventListener('pagehide', pause);
  window.addEventListener('pageshow', seen);
  seen();
  return () => {
    ended = true;
    pause();
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', seen);
    window.removeEventListener('pagehide', pause);
    window.removeEventListener('pageshow', seen);
  };
}
