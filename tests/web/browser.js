// The real daemon, the real browser, and what every test of the page asks of them.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const ROOT = new URL('../..', import.meta.url).pathname;
const PROGRAM = `${ROOT}${process.env.BUILD ?? 'build/release'}/convolved`;
const BROWSER = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP lan.test 127.0.0.1'];

// For one condition to come true: a machine may be busy, and web.sh ends what hangs.
const PATIENCE = 60000;

// The daemon with these options; url ends in a slash. stop() waits till it has ended.
export async function daemon(...options) {
  const listen = options.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
  const child = spawn(PROGRAM, [...listen, '--log-level', 'warning', ...options], { cwd: ROOT });
  let said = '';
  const url = await new Promise((done, fail) => {
    const hear = data => { said += data; const m = /listens on (http:\S+)/.exec(said); if (m) done(m[1] + '/'); };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('exit', code => fail(new Error(`the daemon ended with ${code}: ${said}`)));
  });
  const ended = new Promise(done => { child.on('exit', done); });
  return { url, stop: (signal = 'SIGTERM') => { child.kill(signal); return ended; } };
}

let browser;
export const launch = async () => { browser ??= await chromium.launch({ executablePath: BROWSER, args: FLAGS }); };
export const close = () => browser?.close();

// A page, and all that it said, asked of strangers, or did against its policy.
export async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce', ...options });
  const page = await context.newPage(), heard = [], base = new URL(url).origin;
  page.on('console', m => heard.push(`console: ${m.text()}`));
  page.on('pageerror', e => heard.push(`error: ${e.stack}`));
  page.on('request', r => { if (!/^blob:/.test(r.url()) && new URL(r.url()).origin !== base) heard.push(`foreign: ${r.url()}`); });
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation', e => console.log('policy:', e.violatedDirective, e.blockedURI)));
  await page.addInitScript(() => new MutationObserver(() => { if (document.querySelector('section:not([hidden]) #maps-h')) globalThis.firstResult ??= performance.now(); })
    .observe(document, { attributes: true, subtree: true, attributeFilter: ['hidden'] }));
  page.setDefaultTimeout(PATIENCE);
  await page.goto(url);
  return Object.assign(page, { heard });
}

// Waits till the last edit has been answered: shown, refused, or left for the Run button.
export async function settle(page) {
  await page.waitForFunction(() => document.body.dataset.shown || document.getElementById('problem').textContent || !document.getElementById('big').hidden);
}

// Goes to another state by its link, as Back and pasted links do.
export async function go(page, hash) {
  await page.evaluate(h => new Promise(done => {
    if (location.hash.slice(1) === h) return done();
    addEventListener('popstate', () => setTimeout(done), { once: true });
    location.hash = h;
  }), hash);
  await settle(page);
}

// A door that is shut until it is opened: what waits for it waits for no clock.
export function door() {
  let open;
  const opened = new Promise(done => { open = done; });
  return { opened, open };
}

// Waits till the page says this: status, problem or whatever has this id.
export const says = (page, id, pattern) =>
  page.waitForFunction(([i, p]) => new RegExp(p).test(document.getElementById(i).textContent), [id, pattern.source]);

export const text = (page, id) => page.textContent('#' + id);

// What POST /convolve or /plan says, asked past the page.
export async function ask(url, path, body) {
  const reply = await fetch(url + path, { method: 'POST', body: JSON.stringify(body) });
  return { status: reply.status, json: await reply.json() };
}
