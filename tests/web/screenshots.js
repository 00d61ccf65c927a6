// The README's two pictures of the page: the textbook layer, and the tiny one in the dark.
import { mkdirSync, statSync } from 'node:fs';
import { close, daemon, launch, open, settle } from './browser.js';

const folder = new URL('screenshots/', import.meta.url).pathname;
mkdirSync(folder, { recursive: true });
const server = await daemon();
await launch();
async function picture(name, hash, viewport, colorScheme, ready = page => page) { // ready: what of the page is taken
  const page = await open(`${server.url}#${hash}`, { viewport, colorScheme });
  await settle(page);
  const part = await ready(page);
  await page.waitForTimeout(300);
  await part.screenshot({ path: folder + name });
  console.log(`${folder}${name}: ${statSync(folder + name).size} bytes`);
  await page.context().close();
}
await picture('page-light.png', 'weights=kirsch8&stride=1&padding=1&size=128&k=1&cell=7000', { width: 1280, height: 960 }, 'light');
await picture('im2col-dark.png', 'sample=tiny&size=8&weights=edges&depth=full&stride=1&padding=1', { width: 1200, height: 1000 }, 'dark', async page => {
  await page.check('#show-copies');
  await page.focus('#dot');
  for (let n = 0; n < 5; n++) await page.keyboard.press('ArrowRight');
  return page.locator('section:has(#step)');
});
await close();
await server.stop();
