// Verifies messages by npm's mailauth: sign_verify.js KEYS.json FILE... prints a JSON line a file:
// [{selector, algorithm, result}]. KEYS.json: {name: record}.
'use strict';

const fs = require('fs');
const { dkimVerify } = require('mailauth/lib/dkim/verify');

const keys = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));

async function resolver(name, type) {
    if (type === 'TXT' && keys[name]) {
        return [[keys[name]]];
    }
    const e = new Error('no such name');
    e.code = 'ENOTFOUND';
    throw e;
}

async function main() {
    for (const file of process.argv.slice(3)) {
        const { results } = await dkimVerify(fs.readFileSync(file), { resolver });
        const said = results
            .filter(r => r.selector)
            .map(r => ({ selector: r.selector, algorithm: r.algo, result: r.status.result }));
        console.log(JSON.stringify(said));
    }
}

main().catch(e => {
    console.error(e);
    process.exit(1);
});
