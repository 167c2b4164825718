// An ESME written with the npm package "smpp" (node-smpp), so that the simulator is tried against a codec that is not ours.
//
//   node esme.js PORT
//
// Orders are JSON objects on standard input, one a line:
//   {"do": "bind", "mode": "transceiver", "system_id": "motcua", "password": "secret"}
//   {"do": "submit", "pdu": {"destination_addr": "84905123456", "short_message": "…", …}}   (fields as node-smpp names them)
//   {"do": "unbind"}
// What happens is told on standard output, one JSON object a line. It ends when its standard input is closed.
'use strict';

const readline = require('readline');
const smpp = require('smpp');

function tell(event, values) {
  process.stdout.write(JSON.stringify({ event, ...values }) + '\n');
}

// Buffers as hex, everything else as it is.
function plain(pdu) {
  const values = {};
  for (const [name, value] of Object.entries(pdu)) {
    if (name === 'short_message' || name === 'message_payload') {
      const message = value.message === undefined ? value : value.message;
      values[name] = Buffer.isBuffer(message) ? message.toString('hex') : message;
      values.udh = (value.udh || []).map((element) => Buffer.from(element).toString('hex'));
    } else if (Buffer.isBuffer(value)) {
      values[name] = value.toString('hex');
    } else if (typeof value !== 'function' && typeof value !== 'object') {
      values[name] = value;
    }
  }
  return values;
}

const session = smpp.connect({ url: `smpp://127.0.0.1:${process.argv[2]}` }, () => tell('connected', {}));

// The library emits what it cannot decode as an error: the test fails on it.
session.on('error', (error) => tell('error', { message: String(error && error.message) }));
session.on('close', () => tell('closed', {}));
for (const command of ['deliver_sm', 'data_sm']) {
  session.on(command, (pdu) => {
    tell(command, plain(pdu));
    session.send(pdu.response());
  });
}
session.on('enquire_link', (pdu) => session.send(pdu.response()));

const orders = {
  bind: ({ mode, ...fields }) => session[`bind_${mode}`](fields, (answer) => tell('bind_resp', plain(answer))),
  submit: ({ pdu }) => {
    if (pdu.udh) {
      pdu.short_message = { udh: Buffer.from(pdu.udh, 'hex'), message: pdu.short_message };
      delete pdu.udh;
    }
    session.submit_sm(pdu, (answer) => tell('submit_sm_resp', plain(answer)));
  },
  unbind: () => session.unbind((answer) => tell('unbind_resp', plain(answer))),
};

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { do: name, ...values } = JSON.parse(line);
  orders[name](values);
});
lines.on('close', () => process.exit(0));
