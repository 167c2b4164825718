// An SMSC written with the npm package "smpp" (node-smpp), so that the daemon is tried against a codec that is not ours.
//
//   node smsc.js [system_id] [password]
//
// It listens on a free port of the loopback and tells what happens on standard output, one JSON object a line. Standard
// input takes one JSON object a line: {"do": "mo", "from": "84905123456", "to": "8083", "text": "MCKH 0101701234"},
// {"do": "cut"} (drops every connection), {"do": "unbind"}, {"do": "quit"}. It ends when its standard input is closed.
'use strict';

const readline = require('readline');
const smpp = require('smpp');

const SYSTEM_ID = process.argv[2] || 'motcua';
const PASSWORD = process.argv[3] || 'secret';
const ESM_CLASS_RECEIPT = 0x04;
const STATE_DELIVERED = 2;

const receivers = new Set();
const everyone = new Set();
let nextId = 0xa0001;
let nextMo = 1;

function tell(event, values) {
  process.stdout.write(JSON.stringify({ event, ...values }) + '\n');
}

function date(now) {
  // YYMMDDhhmm of Vietnam, as most SMSCs write it
  const local = new Date(now.getTime() + 7 * 3600 * 1000).toISOString();
  return local.slice(2, 16).replace(/[-T:]/g, '');
}

function text(shortMessage) {
  const message = shortMessage.message;
  return Buffer.isBuffer(message) ? message.toString('latin1') : message;
}

function receipt(session, pdu, id) {
  const now = date(new Date());
  const body =
    `id:${id} sub:001 dlvrd:001 submit date:${now} done date:${now} stat:DELIVRD err:000 ` +
    `text:${text(pdu.short_message).slice(0, 20)}`;
  session.deliver_sm(
    {
      source_addr_ton: pdu.dest_addr_ton,
      source_addr_npi: pdu.dest_addr_npi,
      source_addr: pdu.destination_addr,
      destination_addr: pdu.source_addr,
      esm_class: ESM_CLASS_RECEIPT,
      short_message: body,
      receipted_message_id: id,
      message_state: STATE_DELIVERED,
    },
    (answer) => tell('receipt_answered', { id, status: answer.command_status }),
  );
}

function anyReceiver() {
  return receivers.values().next().value;
}

function onSubmit(session, pdu) {
  const id = (nextId++).toString(16);
  const udh = pdu.short_message.udh || [];
  tell('submit_sm', {
    id,
    source_addr: pdu.source_addr,
    source_addr_ton: pdu.source_addr_ton,
    destination_addr: pdu.destination_addr,
    dest_addr_ton: pdu.dest_addr_ton,
    data_coding: pdu.data_coding,
    esm_class: pdu.esm_class,
    registered_delivery: pdu.registered_delivery,
    user_message_reference: pdu.user_message_reference === undefined ? null : pdu.user_message_reference,
    udh: udh.map((element) => Buffer.from(element).toString('hex')),
    text: text(pdu.short_message),
  });
  session.send(pdu.response({ message_id: id }), () => {
    if (pdu.registered_delivery & 1) {
      receipt(anyReceiver() || session, pdu, id);
    }
  });
}

function onBind(session, pdu) {
  const right = pdu.system_id === SYSTEM_ID && pdu.password === PASSWORD;
  const status = right ? smpp.ESME_ROK : smpp.ESME_RBINDFAIL;
  tell('bind', { command: pdu.command, system_id: pdu.system_id, version: pdu.interface_version, status });
  const answer = pdu.response({ command_status: status, system_id: 'NODE' });
  if (right) {
    answer.sc_interface_version = 0x34;
  }
  session.send(answer, () => {
    if (!right) {
      session.close();
    } else if (pdu.command !== 'bind_transmitter') {
      receivers.add(session);
    }
  });
}

const server = smpp.createServer((session) => {
  everyone.add(session);
  for (const command of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(command, (pdu) => onBind(session, pdu));
  }
  session.on('submit_sm', (pdu) => onSubmit(session, pdu));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    tell('unbind', {});
    session.send(pdu.response(), () => session.close());
  });
  session.on('close', () => {
    receivers.delete(session);
    everyone.delete(session);
    tell('closed', {});
  });
  // The library emits what it cannot decode as an error: the test fails on it.
  session.on('error', (error) => tell('error', { message: String(error && error.message) }));
});

function mo(order) {
  const session = anyReceiver();
  if (!session) {
    tell('error', { message: 'nobody is bound to receive' });
    return;
  }
  const id = `mo-${nextMo++}`;
  session.deliver_sm(
    {
      source_addr_ton: 1,
      source_addr_npi: 1,
      source_addr: order.from,
      destination_addr: order.to,
      receipted_message_id: id,
      short_message: order.text,
    },
    (answer) => tell('mo_answered', { id, status: answer.command_status }),
  );
}

const ORDERS = {
  mo,
  cut: () => everyone.forEach((session) => session.destroy()),
  unbind: () => everyone.forEach((session) => session.unbind(() => session.close())),
  quit: () => process.exit(0),
};

readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line);
    ORDERS[order.do](order);
  })
  .on('close', () => process.exit(0));

server.listen(0, '127.0.0.1', () => tell('listening', { port: server.address().port }));
