// Small helpers to build pages. Text only ever enters through text nodes and attributes, so nothing needs escaping.

/** h('td', {class: 'num', onclick: f}, 'text', child, [children]) */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

export function state(name) { return h('span', {class: `state ${name}`}, name); }

export function number(value, digits = 3) {
  return typeof value === 'number' && Number.isFinite(value) ? value.toFixed(digits) : '–';
}

/** Short text of a sampled value: 0.0003 -> 3e-4, 16 -> 16. */
export function short(value) {
  if (typeof value !== 'number') return String(value);
  return value !== 0 && Math.abs(value) < 0.01 ? value.toExponential().replace('e-', 'e-') : String(value);
}

export function time(milliseconds) {
  return milliseconds ? new Date(milliseconds).toLocaleString() : '–';
}

export function duration(from, to) {
  if (!from) return '–';
  const seconds = Math.max(0, Math.round(((to || Date.now()) - from) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
}

/** "lr 3e-4, reduction 8": sampled parameters without their group's name. */
export function parameters(values) {
  return Object.entries(values || {}).map(([name, value]) => `${name.split('.').pop()} ${short(value)}`).join(', ');
}

export const STATES = ['succeeded', 'stopped', 'running', 'leased', 'stopping', 'backoff', 'paused', 'failed', 'diverged',
  'cancelled', 'skipped', 'ready', 'blocked'];

/** A bar of jobs by state. SVG, because the content security policy allows no inline style. */
export function progress(counts) {
  const total = Object.values(counts).reduce((sum, n) => sum + n, 0) || 1;
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 1000 8');
  svg.setAttribute('preserveAspectRatio', 'none');
  let x = 0;
  for (const name of STATES) {
    const width = 1000 * (counts[name] || 0) / total;
    if (!width) continue;
    const part = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    for (const [key, value] of Object.entries({x, y: 0, width, height: 8, class: `fill-${name}`})) part.setAttribute(key, value);
    svg.append(part);
    x += width;
  }
  const words = STATES.filter((name) => counts[name]).map((name) => `${counts[name]} ${name}`);
  return [h('div', {class: 'bar', role: 'img', 'aria-label': words.join(', ')}, svg),
    h('div', {class: 'legend'}, STATES.filter((name) => counts[name]).map((name) =>
      h('span', {class: `state ${name}`}, `${counts[name]} ${name}`)))];
}

export function done(counts) {
  return ['succeeded', 'stopped', 'failed', 'diverged', 'cancelled', 'skipped'].reduce((sum, name) => sum + (counts[name] || 0), 0);
}
