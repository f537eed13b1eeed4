// An OpenID provider: oidc-provider over TLS on this machine, with keys that are rotated and taken
// away. Owns its users (anybody) and its one client. What it signs is what the library signs, after
// the whole authorization code flow.
//
//   node provider.mjs DIRECTORY-OF-NODE_MODULES
//
// Says on standard output where it serves. On its second port it does what a test asks:
//   GET /keys/rsa-1,ec-2     from now on it has these keys and signs with the first; the letters
//                            before the dash say of which kind (rsa, ec, ed)
//   GET /token/SUBJECT       signs somebody in and answers the ID token
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const modules = path.resolve(process.argv[2]);
const library = path.join(modules, 'oidc-provider/lib/index.js');
const { default: Provider } = await import(pathToFileURL(library));

const here = path.dirname(fileURLToPath(import.meta.url));
const certificate = (name) => fs.readFileSync(path.join(here, 'certificates', name));
const authority = certificate('authority.crt');

const CLIENT = 'porthouse';
const SECRET = 'known to this file alone';
const CALLBACK = 'https://localhost/callback';

const kinds = {
  rsa: { alg: 'RS256', pair: () => crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }) },
  ec: { alg: 'ES256', pair: () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
  ed: { alg: 'EdDSA', pair: () => crypto.generateKeyPairSync('ed25519') },
};
const keys = new Map();
let handle;

function key(kid) {
  if (!keys.has(kid)) {
    const { alg, pair } = kinds[kid.split('-')[0]];
    keys.set(kid, { ...pair().privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig' });
  }
  return keys.get(kid);
}

/// A provider with these keys, which signs with the first.
function provide(kids) {
  const jwks = kids.map(key);
  const provider = new Provider(issuer, {
    jwks: { keys: jwks },
    clients: [{
      client_id: CLIENT,
      client_secret: SECRET,
      redirect_uris: [CALLBACK],
      id_token_signed_response_alg: jwks[0].alg,
    }],
    conformIdTokenClaims: false,
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'] },
    cookies: { keys: ['known to this file alone'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/sign-in/${interaction.uid}` },
    pkce: { required: () => false },
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({ sub, name: `${sub} of the provider`, preferred_username: sub }),
    }),
    // Whoever signs in has agreed.
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId,
        accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope('openid profile');
      await grant.save();
      return grant;
    },
  });
  const answer = provider.callback();
  handle = async (request, response) => {
    if (!request.url.startsWith('/sign-in/')) return answer(request, response);
    const { params } = await provider.interactionDetails(request, response);
    const result = { login: { accountId: params.login_hint } };
    return provider.interactionFinished(request, response, result);
  };
}

/// One request to the provider, with cookies as a browser keeps them.
function ask(url, { method = 'GET', headers = {}, body } = {}, cookies = new Map()) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  return new Promise((resolve, reject) => {
    const options = { method, ca: authority, headers: { ...headers, ...(cookie && { cookie }) } };
    const request = https.request(url, options, (response) => {
      for (const line of response.headers['set-cookie'] ?? []) {
        const [name, value] = line.split(';')[0].split('=');
        cookies.set(name, value);
      }
      let text = '';
      response.setEncoding('utf8').on('data', (part) => { text += part; });
      response.on('end', () => resolve({ response, text }));
    });
    request.on('error', reject).end(body);
  });
}

/// Signs somebody in as their browser and the client would.
async function token(subject) {
  const cookies = new Map();
  const asked = new URLSearchParams({
    client_id: CLIENT,
    redirect_uri: CALLBACK,
    response_type: 'code',
    scope: 'openid profile',
    login_hint: subject,
  });
  let url = `${issuer}/auth?${asked}`;
  for (let steps = 0; !url.startsWith(CALLBACK); steps += 1) {
    const { response, text } = await ask(url, {}, cookies);
    if (!response.headers.location || steps > 8) throw new Error(`${response.statusCode} ${text}`);
    url = new URL(response.headers.location, issuer).href;
  }
  const code = new URL(url).searchParams.get('code');
  const body = new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: CALLBACK });
  const basic = Buffer.from(`${CLIENT}:${encodeURIComponent(SECRET)}`).toString('base64');
  const headers = {
    authorization: `Basic ${basic}`,
    'content-type': 'application/x-www-form-urlencoded',
  };
  const { text } = await ask(`${issuer}/token`, { method: 'POST', headers, body: body.toString() });
  return JSON.parse(text).id_token;
}

const options = { cert: certificate('provider.crt'), key: certificate('provider.key') };
const server = https.createServer(options, (request, response) => handle(request, response));
await new Promise((listens) => { server.listen(0, '127.0.0.1', listens); });
const issuer = `https://localhost:${server.address().port}`;
provide(['rsa-1']);

const asked = http.createServer(async (request, response) => {
  const [, what, value] = request.url.split('/');
  try {
    if (what === 'keys') provide(value.split(','));
    response.end(what === 'token' ? await token(decodeURIComponent(value)) : 'done');
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});
await new Promise((listens) => { asked.listen(0, '127.0.0.1', listens); });
console.log(`provider ${issuer} asked 127.0.0.1:${asked.address().port}`);
