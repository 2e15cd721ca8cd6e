// Signs messages by npm's mailauth: dkim_sign.js FOLDER writes NAME.eml for each case, keys.zone
// with the records, and cases.json: what stands in each.
'use strict';

const fs = require('fs');
const path = require('path');
const { generateKeyPairSync } = require('crypto');
const { dkimSign } = require('mailauth/lib/dkim/sign');

const folder = process.argv[2];
const FORMS = ['simple/simple', 'simple/relaxed', 'relaxed/simple', 'relaxed/relaxed'];
const NOW = 1750000000;

const MESSAGE = [
    'From: Joe  <joe@a.test>',
    'To: \tann@b.test,',
    '   bob@b.test  ',
    'Subject:is it?',
    'Date: Sun, 15 Jun 2025 10:00:00 +0000',
    'Message-ID: <1@a.test>',
    '',
    'Hi.',
    '',
    'We lost  the game. ',
    '\tJoe',
    '',
    ''
].join('\r\n');

const EDGES = {
    'empty body': MESSAGE.slice(0, MESSAGE.indexOf('\r\n\r\n') + 4),
    'no last line end': MESSAGE.trimEnd(),
    'only line ends': MESSAGE.slice(0, MESSAGE.indexOf('\r\n\r\n') + 4) + '\r\n\r\n\r\n',
    'blanks at the end': MESSAGE.trimEnd() + ' \t\r\n \r\n\r\n',
    'long lines': MESSAGE + 'x '.repeat(20000) + '\r\n',
    '8-bit': MESSAGE.replace('is it?', '\u00e4\u00f6 \u2603').replace('game', 'g\u00e4me')
};

const PEM = { type: 'pkcs8', format: 'pem' };
const keys = {
    rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    rsa1024: generateKeyPairSync('rsa', { modulusLength: 1024 }),
    ed: generateKeyPairSync('ed25519')
};

// A TXT record as a master file has it: strings of at most 255 bytes.
function record(name, type, key) {
    let der = key.publicKey.export({ type: 'spki', format: 'der' });
    let text = `v=DKIM1; k=${type}; p=` + (type === 'ed25519' ? der.subarray(-32) : der).toString('base64');

    return `${name}._domainkey.a.test TXT ` + text.match(/.{1,250}/g).map(s => `"${s}"`).join(' ') + '\n';
}

function signature(kind, form, length) {
    return {
        signingDomain: 'a.test',
        selector: kind,
        privateKey: keys[kind].privateKey.export(PEM),
        algorithm: kind === 'ed' ? 'ed25519-sha256' : 'rsa-sha256',
        canonicalization: form,
        maxBodyLength: length
    };
}

async function main() {
    let cases = [];

    async function add(name, message, list, flip) {
        let count = list.length;
        let length = list[0].maxBodyLength; // the signer writes into it
        let signed = await dkimSign(message, { signTime: new Date(NOW * 1000), signatureData: list });
        let file = `${cases.length}.eml`;

        if (signed.errors.length > 0)
            throw signed.errors[0].err || new Error(JSON.stringify(signed.errors));
        fs.writeFileSync(path.join(folder, file), signed.signatures + message);
        cases.push({ name, file, flip, count, length });
    }

    fs.writeFileSync(path.join(folder, 'keys.zone'),
        record('rsa', 'rsa', keys.rsa) + record('rsa1024', 'rsa', keys.rsa1024) + record('ed', 'ed25519', keys.ed));
    for (let kind of ['rsa', 'ed'])
        for (let form of FORMS)
            await add(`${kind} ${form}`, MESSAGE, [signature(kind, form)], true);
    for (let kind of ['rsa', 'ed'])
        for (let form of FORMS)
            await add(`${kind} ${form} l=20`, MESSAGE, [signature(kind, form, 20)], form !== 'simple/relaxed');
    for (let edge of Object.keys(EDGES))
        for (let form of FORMS)
            await add(`${edge}, ${form}`, EDGES[edge], [signature('rsa', form), signature('ed', form)], false);
    await add('rsa of 1024 bits', MESSAGE, [signature('rsa1024', 'relaxed/relaxed')], false);
    await add('two signatures', MESSAGE,
        [signature('rsa', 'relaxed/simple'), signature('ed', 'simple/relaxed')], true);
    await add('eight signatures', MESSAGE,
        FORMS.flatMap(form => [signature('rsa', form), signature('ed', form)]), false);
    fs.writeFileSync(path.join(folder, 'cases.json'), JSON.stringify({ now: NOW, cases }));
}

main().catch(err => {
    console.error(err);
    process.exit(1);
});
