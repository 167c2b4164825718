// An ESME written with the npm package "smpp" (node-smpp) that answers every text to its shortcode: for the simulator's scenarios.
//
//   node answering.js PORT
//
// It binds again when its link goes, answers an MO once however often it comes, and ends on SIGTERM.
'use strict';

const smpp = require('smpp');

const answered = new Set();
let session;
let ending = false;

function connect() {
  session = smpp.connect({ url: `smpp://127.0.0.1:${process.argv[2]}`, auto_enquire_link_period: 500 }, () => {
    session.bind_transceiver({ system_id: 'motcua', password: 'secret' }, (answer) =>
      console.log(answer.command_status === 0 ? 'bound' : `refused ${answer.command_status}`));
  });
  session.on('error', (error) => console.log(`error: ${error.message}`));
  session.on('close', () => !ending && setTimeout(connect, 200));
  session.on('unbind', (pdu) => {
    session.send(pdu.response());
    session.close();
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('deliver_sm', (pdu) => {
    session.send(pdu.response());
    if (!(pdu.esm_class & 0x04)) answer(pdu);
  });
}

function answer(mo) {
  if (answered.has(mo.receipted_message_id)) return;
  answered.add(mo.receipted_message_id);
  session.submit_sm({
    source_addr: mo.destination_addr,
    destination_addr: mo.source_addr,
    dest_addr_ton: 1,
    dest_addr_npi: 1,
    registered_delivery: 1,
    short_message: `Da nhan: ${mo.short_message.message}`,
  }, (response) => console.log(`submit_sm_resp ${response.command_status}`));
}

process.on('SIGTERM', () => {
  ending = true;
  session.unbind(() => process.exit(0));
  setTimeout(() => process.exit(0), 1000);
});

connect();
