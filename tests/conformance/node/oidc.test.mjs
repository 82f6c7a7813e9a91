// Login of the administration at an independent OpenID Connect server (oidc-provider), through its own pages.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';

// A base URL is the negative control's.
const { BIFROST_BIN, CONFORMANCE_BASE_URL, CONFORMANCE_NODE_HOME, PATH } = process.env;
const skip = BIFROST_BIN ? false : 'needs a gateway of its own: BIFROST_BIN is not set';
const require = createRequire(`${CONFORMANCE_NODE_HOME}/package.json`);
const GROUPS = { ada: ['ops', 'staff'], bob: ['staff'], eve: ['visitors'] };
const PASSWORD = 'correct horse battery';
const CALLBACK = '/api/session/oidc/callback';

let folder, gateway, issuer, url;

async function freePort() {
  const socket = createSocket().listen(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

async function startIssuer(redirect) {
  const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));
  const port = await freePort();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{ client_id: 'bifrost', client_secret: 'a-secret-of-the-gateway', redirect_uris: [redirect] }],
    pkce: { required: () => true },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({ sub, email: `${sub}@example.com`, email_verified: true, groups: GROUPS[sub] }),
    }),
  });
  const server = createServer(provider.callback()).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${port}`, server };
}

async function startGateway(port, oidc) {
  const auth_config = { admin_username: 'root', admin_password: PASSWORD, disable_auth_on_inference: true, oidc };
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ governance: { auth_config } }));
  const options = ['--app-dir', folder, '--host', '127.0.0.1', '--port', String(port), '--threads', '1'];
  const child = spawn(BIFROST_BIN, options, { env: { PATH, HOME: folder }, stdio: 'ignore' });
  for (;;) {
    assert.equal(child.exitCode, null, 'the gateway ended');
    if (await fetch(`${url}/health`).then((reply) => reply.ok, () => false)) return child;
    await new Promise((later) => setTimeout(later, 20));
  }
}

// A browser: cookies by name and path, redirects one by one.
class Browser {
  cookies = new Map();

  async open(address, form) {
    const { pathname } = new URL(address);
    const fitting = [...this.cookies.values()].filter((one) => pathname.startsWith(one.path));
    const reply = await fetch(address, {
      redirect: 'manual',
      method: form ? 'POST' : 'GET',
      body: form && new URLSearchParams(form),
      headers: { cookie: fitting.map((one) => `${one.name}=${one.value}`).join('; ') },
    });
    for (const line of reply.headers.getSetCookie()) {
      const [pair, ...rest] = line.split(/; */);
      const [name, value] = pair.split(/=(.*)/s);
      const path = rest.find((part) => /^path=/i.test(part))?.slice(5) ?? '/';
      if (value && !/max-age=0(;|$)|1970/i.test(line)) this.cookies.set(name + path, { name, value, path, line });
      else this.cookies.delete(name + path);
    }
    const to = reply.headers.get('location');
    return { reply, to: to && new URL(to, address).href };
  }

  // From the gateway to the issuer, through its pages as `who`: the address that leads back.
  async logIn(who) {
    let { reply, to } = await this.open(`${url}/api/session/oidc/start`);
    assert.equal(reply.status, 303);
    assert.ok(to.startsWith(issuer.url));
    for (let step = 0; step < 20; step += 1) {
      if (to.startsWith(url)) return to;
      const at = to;
      ({ reply, to } = await this.open(at));
      if (to) continue;
      const page = await reply.text();
      const action = /action="([^"]+)"/.exec(page)?.[1];
      assert.ok(action, page);
      const prompt = /name="prompt" value="([^"]+)"/.exec(page)?.[1];
      ({ to } = await this.open(new URL(action, at).href, { prompt, login: who, password: 'any' }));
    }
    return assert.fail('the issuer never led back');
  }

  session() {
    return this.cookies.get('bifrost_session/');
  }
}

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), 'bifrost-oidc-'));
  const port = await freePort();
  url = CONFORMANCE_BASE_URL || `http://127.0.0.1:${port}`;
  issuer = await startIssuer(url + CALLBACK);
  if (CONFORMANCE_BASE_URL) return;
  gateway = await startGateway(port, {
    issuer: issuer.url,
    client_id: 'bifrost',
    client_secret: 'a-secret-of-the-gateway',
    redirect_url: url + CALLBACK,
    scopes: ['email', 'groups'],
    roles: { ops: 'admin', staff: 'viewer' },
  });
});

after(async () => {
  if (skip) return;
  gateway?.kill();
  issuer?.server.closeAllConnections();
  issuer?.server.close();
  rmSync(folder, { recursive: true, force: true });
});

for (const [who, role] of [['ada', 'admin'], ['bob', 'viewer']]) {
  test(`${who} logs in as ${role}`, { skip }, async () => {
    const browser = new Browser();
    const { reply } = await browser.open(await browser.logIn(who));
    assert.equal(reply.status, 200);
    assert.match(await reply.text(), /http-equiv="refresh"/);
    assert.match(browser.session().line, /HttpOnly; SameSite=Strict/);
    assert.equal(browser.cookies.has(`bifrost_oidc/api/session/oidc`), false, 'the login is no more under way');
    const me = await (await browser.open(`${url}/api/session`)).reply.json();
    assert.deepEqual([me.name, me.role], [`oidc:${who}@example.com`, role]);
  });
}

test('who has no role is not let in', { skip }, async () => {
  const browser = new Browser();
  const { reply } = await browser.open(await browser.logIn('eve'));
  assert.equal(reply.status, 403);
  assert.equal(browser.session(), undefined);
});

test('a way back works once, in the browser that began it, unchanged', { skip }, async () => {
  const browser = new Browser();
  const back = await browser.logIn('ada');
  const stranger = new Browser();
  assert.equal((await stranger.open(back)).reply.status, 401, 'another browser');
  const changed = new URL(back);
  changed.searchParams.set('state', 'guess');
  assert.equal((await browser.open(changed.href)).reply.status, 401, 'another state');
  const forged = new URL(back);
  forged.searchParams.set('code', 'guess');
  assert.equal((await browser.open(forged.href)).reply.status, 401, 'another code');
  const kept = new Map(browser.cookies);
  assert.equal((await browser.open(back)).reply.status, 200);
  browser.cookies = kept;
  assert.equal((await browser.open(back)).reply.status, 401, 'the same once more');
});

test('a refusal of the issuer is no login', { skip }, async () => {
  const browser = new Browser();
  const { to } = await browser.open(`${url}/api/session/oidc/start`);
  const state = new URL(to).searchParams.get('state');
  const { reply } = await browser.open(`${url}${CALLBACK}?error=access_denied&state=${state}`);
  assert.equal(reply.status, 401);
  assert.equal(browser.session(), undefined);
});
