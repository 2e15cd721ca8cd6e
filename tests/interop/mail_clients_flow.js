// What imapflow does with a mailbox; prints what it saw as a line of JSON. Used by mail_clients.py:
// node mail_clients_flow.js HOST PORT plain|tls|starttls USER PASSWORD CERTIFICATE FILE
"use strict";
const fs = require("fs");
const { ImapFlow } = require("imapflow");

const [host, port, way, user, pass, certificate, file] = process.argv.slice(2);

function connect() {
    return new ImapFlow({
        host, port: Number(port), secure: way === "tls", doSTARTTLS: way === "starttls" ? true : way === "tls" ? undefined : false, auth: { user, pass }, logger: false,
        tls: { ca: fs.readFileSync(certificate) },
    });
}

const ident = (source) => /^X-Id: (\S+)/m.exec(source.toString("latin1"))[1];

async function main() {
    const said = { fetched: {} };
    const client = connect();
    await client.connect();
    said.secure = Boolean(client.secureConnection);
    said.compress_offered = client.capabilities.has("COMPRESS=DEFLATE");
    said.compressed = Boolean(client._deflate);
    const uids = {};
    let lock = await client.getMailboxLock("INBOX");
    for await (const m of client.fetch("1:*", { uid: true, flags: true, envelope: true, bodyStructure: true, source: true })) {
        said.fetched[ident(m.source)] = m.source.toString("latin1");
        uids[ident(m.source)] = m.uid;
        if (m.envelope.subject !== `letter ${ident(m.source)}` || m.envelope.from[0].address !== "anna@sender.test")
            throw new Error(`envelope of ${m.uid}: ${JSON.stringify(m.envelope)}`);
        if (m.bodyStructure.type !== "text/plain" || m.bodyStructure.parameters.charset !== "utf-8")
            throw new Error(`structure of ${m.uid}: ${JSON.stringify(m.bodyStructure)}`);
    }
    said.search_body = await client.search({ body: "body of two" });
    const before = client.mailbox.highestModseq;
    await client.messageFlagsAdd(String(uids.two), ["\\Flagged", "$Label"], { uid: true });
    said.changed = 0;
    for await (const m of client.fetch("1:*", { uid: true, flags: true }, { changedSince: before }))
        if (m.uid === uids.two && m.flags.has("\\Flagged")) said.changed++;
    await client.mailboxCreate(["Shelf", "Deep"]);
    const deep = (await client.list()).find((b) => b.name === "Deep").path;
    await client.messageMove(String(uids.one), deep, { uid: true });
    await client.messageDelete(String(uids.three), { uid: true });
    const heard = new Promise((resolve) => client.once("exists", () => resolve(true)));
    const idle = client.idle();
    const other = connect();
    await other.connect();
    await other.append("INBOX", fs.readFileSync(file));
    said.heard = await Promise.race([heard, new Promise((resolve) => setTimeout(() => resolve(false), 60000))]);
    await other.logout();
    await client.noop(); // ends the IDLE
    await idle;
    said.search_appended = (await client.search({ text: "quixotic zebra" })).length;
    lock.release();
    said.status = await client.status("INBOX", { messages: true, unseen: true });
    delete said.status.path;
    said.special = {};
    for (const b of await client.list()) if (b.specialUse) said.special[b.specialUse] = b.path;
    await client.logout();
    console.log(JSON.stringify(said));
}

main().catch((e) => {
    console.error(e.stack, e.responseText || "");
    process.exit(1);
});
