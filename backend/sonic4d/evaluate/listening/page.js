// The listening test. `TEST` comes from cases.js: {title, cases: [{name, viewpoint, spatial, mono}]}.
"use strict";

const CHECKS = 4; // of the headphones, all of which must be right
const FIELDS = ["participant", "case", "viewpoint", "position", "spatial_is", "preferred",
  "sla_spatial", "sla_mono", "avsa_spatial", "avsa_mono"];
const by = (id) => document.getElementById(id);

const participant = crypto.getRandomValues(new Uint32Array(2)).join("-");
const order = shuffled(TEST.cases.map((one) => ({ ...one, spatial_is: coin() ? "a" : "b" })));
const answers = [];

function coin() { return crypto.getRandomValues(new Uint8Array(1))[0] < 128; }

function shuffled(list) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = crypto.getRandomValues(new Uint32Array(1))[0] % (i + 1);
    [list[i], list[j]] = [list[j], list[i]];
  }
  return list;
}

function show(id) {
  for (const section of document.querySelectorAll("section")) section.hidden = section.id !== id;
}

by("title").textContent = document.title = TEST.title;
by("count").textContent = TEST.cases.length;
by("begin").onclick = () => show("headphones");

// Headphones: tones on one side, at random.
let side = null;
let right = 0;
by("tone").onclick = () => {
  side = coin() ? "left" : "right";
  document.body.dataset.side = side;
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 440 });
  const gain = new GainNode(context, { gain: 0.2 });
  tone.connect(gain).connect(new StereoPannerNode(context, { pan: side === "left" ? -1 : 1 })).connect(context.destination);
  tone.start();
  tone.stop(context.currentTime + 0.7);
  tone.onended = () => context.close();
  by("heard-left").disabled = by("heard-right").disabled = false;
};
for (const name of ["left", "right"]) {
  by(`heard-${name}`).onclick = () => {
    by("heard-left").disabled = by("heard-right").disabled = true;
    right = name === side ? right + 1 : 0;
    by("headphones-state").textContent = right
      ? `Right, ${CHECKS - right} to go.`
      : "That was the other side. Put your headphones the right way round and play again.";
    if (right === CHECKS) trial();
  };
}

// Trials.
for (const scale of document.querySelectorAll(".scale")) {
  const label = document.createElement("span");
  label.textContent = scale.dataset.label;
  scale.append(label);
  for (let value = 1; value <= 5; value++) {
    const choice = document.createElement("label");
    choice.innerHTML = `<input type="radio" name="${scale.dataset.name}" value="${value}" required> ${value}`;
    scale.append(choice);
  }
}

function trial() {
  const current = order[answers.length];
  if (!current) return end();
  by("answers").reset();
  by("progress").textContent = `Pair ${answers.length + 1} of ${order.length}`;
  const watched = new Set();
  for (const place of ["a", "b"]) {
    const video = by(`video-${place}`);
    video.src = current.spatial_is === place ? current.spatial : current.mono;
    video.onplay = () => by(`video-${place === "a" ? "b" : "a"}`).pause();
    video.onended = () => {
      watched.add(place);
      by("next").disabled = watched.size < 2;
      by("watch").hidden = watched.size === 2;
    };
  }
  by("next").disabled = true;
  by("watch").hidden = false;
  show("trial");
}

by("answers").onsubmit = (event) => {
  event.preventDefault();
  const given = Object.fromEntries(new FormData(event.target));
  const current = order[answers.length];
  const spatial = current.spatial_is;
  const mono = spatial === "a" ? "b" : "a";
  answers.push({
    participant,
    case: current.name,
    viewpoint: current.viewpoint,
    position: answers.length + 1,
    spatial_is: spatial,
    preferred: given.preferred === spatial ? "spatial" : "mono",
    sla_spatial: Number(given[`sla_${spatial}`]),
    sla_mono: Number(given[`sla_${mono}`]),
    avsa_spatial: Number(given[`avsa_${spatial}`]),
    avsa_mono: Number(given[`avsa_${mono}`]),
  });
  window.scrollTo(0, 0);
  trial();
};

function end() {
  const quoted = (value) => `"${String(value).replaceAll('"', '""')}"`;
  const rows = answers.map((answer) => FIELDS.map((field) => quoted(answer[field])).join(","));
  const files = {
    json: [JSON.stringify({ sonic4d_listening_test: 1, title: TEST.title, answers }, null, 1), "application/json"],
    csv: [[FIELDS.join(","), ...rows].join("\n") + "\n", "text/csv"],
  };
  for (const [kind, [text, type]] of Object.entries(files)) {
    by(kind).href = URL.createObjectURL(new Blob([text], { type }));
    by(kind).download = `answers-${participant}.${kind}`;
  }
  show("end");
}

window.onbeforeunload = (event) => { if (answers.length && by("end").hidden) event.preventDefault(); };
