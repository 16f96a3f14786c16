// SPDX-License-Identifier: Apache-2.0
"use strict";
(() => {
  const values = JSON.parse(document.getElementById("values").textContent);
  const byId = (id) => document.getElementById(id);
  const rate = values.rateHz;
  const duration = values.samples / rate;
  const PARTIES = ["caller", "callee"];
  const VERSIONS = values.afterOnly ? ["after"] : ["before", "after", "preview"];
  const ROWS = 100;
  const REGIONS = 200;
  const seconds = (samples) => samples / rate;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // What the reviewer works on

  const maskOf = (party, asked, guard, shown) => ({
    party, asked, guard, shown, decision: "open", original: shown ? [...asked] : null,
  });
  // Where a guard is clipped, only the option tells how wide it was.
  const guardOf = ({ asked, applied }) => [
    Math.max(asked[0] - applied[0], applied[0] === 0 ? values.guard[0] : 0),
    Math.max(applied[1] - asked[1], applied[1] === values.samples ? values.guard[1] : 0),
  ];
  const given = () => values.masks.map(
    (shown) => maskOf(shown.party, [...shown.asked], guardOf(shown), shown),
  );
  let masks = given();
  let chosen = masks.length ? 0 : -1;
  let edge = 0;
  let version = values.afterOnly ? "after" : "before";
  let solo = "";
  let page = 0;
  let drawing = false;

  const applied = (mask) => [
    clamp(mask.asked[0] - mask.guard[0], 0, values.samples),
    clamp(mask.asked[1] + mask.guard[1], 0, values.samples),
  ];
  const isMoved = (mask) => mask.original !== null
    && (mask.original[0] !== mask.asked[0] || mask.original[1] !== mask.asked[1]);
  const covers = (mask, party) => mask.party === party || mask.party === "both";

  const clock = (samples, digits = 3) => {
    const unit = 10 ** digits;
    const ticks = Math.round(seconds(samples) * unit);
    const whole = Math.floor(ticks / unit);
    const pad = (number, width) => String(number).padStart(width, "0");
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    const rest = digits ? `.${pad(ticks % unit, digits)}` : "";
    return `${hours ? `${hours}:${pad(minutes, 2)}` : minutes}:${pad(whole % 60, 2)}${rest}`;
  };
  const stretch = ([start, end]) => `${clock(start)} – ${clock(end)}`;
  const say = (text) => { byId("status").textContent = text; };

  // Sound: clips are decoded whole, so that every sample is where it should be

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const decoded = new Map();
  const clipAt = (kind, from, to) => {
    let best = null;
    let most = 0;
    for (const clip of values.clips[kind] || []) {
      const shared = Math.min(clip.samples[1], to) - Math.max(clip.samples[0], from);
      if (shared > most) { best = clip; most = shared; }
    }
    return best;
  };
  const bufferOf = (clip) => {
    if (!decoded.has(clip)) {
      if (decoded.size > 40) decoded.delete(decoded.keys().next().value);
      const context = new OfflineAudioContext(2, 1, rate);
      decoded.set(clip, context.decodeAudioData(bytes(clip.data).buffer));
    }
    return decoded.get(clip);
  };
  const channelOf = (party, channels) => {
    if (channels === 1) return 0;
    return (party === "callee") === (values.callerChannel === 0) ? 1 : 0;
  };
  const cycle = 2 * Math.PI * values.beep.frequencyHz / rate;
  const level = values.beep.fill === "beep" ? 10 ** (values.beep.levelDbfs / 20) : 0;

  // What store would make of the masks as they are now, but for the seams of its encoder.
  const preview = (buffer, start) => {
    const made = new AudioBuffer({
      length: buffer.length, numberOfChannels: buffer.numberOfChannels, sampleRate: rate,
    });
    for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
      const samples = buffer.getChannelData(channel).slice();
      for (const mask of masks) {
        if (mask.decision === "rejected") continue;
        const heard = PARTIES.some((party) => covers(mask, party)
          && channelOf(party, buffer.numberOfChannels) === channel);
        if (!heard) continue;
        const [from, to] = applied(mask);
        const last = Math.min(to - start, samples.length);
        for (let at = Math.max(0, from - start); at < last; at++) {
          samples[at] = level * Math.sin(cycle * (at + start));
        }
      }
      const [first, end] = values.kept;
      samples.fill(0, 0, clamp(first - start, 0, samples.length));
      samples.fill(0, clamp(end - start, 0, samples.length));
      made.copyToChannel(samples, channel);
    }
    return made;
  };
  const soundOf = async (kind, from, to) => {
    const clip = clipAt(kind === "preview" ? "before" : kind, from, to);
    if (!clip) return null;
    const buffer = await bufferOf(clip);
    return {
      start: clip.samples[0],
      end: clip.samples[1],
      buffer: kind === "preview" ? preview(buffer, clip.samples[0]) : buffer,
    };
  };

  let context = null;
  let playing = null;
  let asked = 0;
  const stop = () => {
    asked += 1;
    if (!playing) return;
    playing.node.onended = null;
    playing.node.stop();
    playing = null;
    label();
  };
  const play = async (from, to) => {
    stop();
    const mine = asked;
    const sound = await soundOf(version, from, to);
    if (mine !== asked) return;
    if (!sound) { say("There is no clip of this place."); return; }
    const first = clamp(from, sound.start, sound.end);
    const last = clamp(to, first, sound.end);
    context ||= new AudioContext({ sampleRate: rate });
    await context.resume();
    if (mine !== asked) return;
    const node = new AudioBufferSourceNode(context, { buffer: sound.buffer });
    if (solo && sound.buffer.numberOfChannels === 2) {
      const apart = new ChannelSplitterNode(context, { numberOfOutputs: 2 });
      node.connect(apart).connect(context.destination, channelOf(solo, 2));
    } else {
      node.connect(context.destination);
    }
    playing = { node, first, last, since: context.currentTime };
    node.onended = () => { if (playing && playing.node === node) { playing = null; label(); drawClips(); } };
    node.start(0, (first - sound.start) / rate, (last - first) / rate);
    label();
    requestAnimationFrame(follow);
  };
  const position = () => playing
    ? Math.min(playing.last, playing.first + (context.currentTime - playing.since) * rate) : null;
  const follow = () => {
    if (!playing) return;
    wave.setTime(seconds(position()));
    drawClips();
    requestAnimationFrame(follow);
  };
  const around = (mask) => {
    const [from, to] = applied(mask);
    return [Math.max(0, from - rate), Math.min(values.samples, to + rate)];
  };
  const toggle = () => {
    if (playing) { stop(); return; }
    if (chosen >= 0) play(...around(masks[chosen]));
    else {
      const at = Math.round(wave.getCurrentTime() * rate);
      play(at, Math.min(values.samples, at + 10 * rate));
    }
  };

  // The whole recording

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const waveforms = {};
  const waveformOf = (kind) => {
    if (!waveforms[kind]) {
      const packed = new Int8Array(bytes(values.peaks[kind]).buffer);
      const pixels = packed.length / 4;
      const parties = [new Float32Array(2 * pixels), new Float32Array(2 * pixels)];
      for (let pixel = 0; pixel < pixels; pixel++) {
        for (let party = 0; party < 2; party++) {
          parties[party][2 * pixel] = packed[4 * pixel + 2 * party] / 128;
          parties[party][2 * pixel + 1] = packed[4 * pixel + 2 * party + 1] / 128;
        }
      }
      waveforms[kind] = parties;
    }
    return waveforms[kind];
  };
  let shown = values.afterOnly ? "after" : "before";
  const plugin = WaveSurfer.Regions.create();
  const lane = () => ({ waveColor: colour("wave"), progressColor: colour("wave") });
  const wave = WaveSurfer.create({
    container: byId("wave"),
    cspNonce: document.body.dataset.nonce,
    height: 84,
    peaks: waveformOf(shown),
    duration,
    sampleRate: Math.max(3000, rate),
    cursorColor: colour("focus"),
    cursorWidth: 2,
    splitChannels: [lane(), lane()],
    autoScroll: false,
    autoCenter: false,
    plugins: [plugin],
  });

  const canvas = (element) => {
    const { clientWidth: width, clientHeight: height } = element;
    const scale = window.devicePixelRatio || 1;
    element.width = Math.max(1, Math.round(width * scale));
    element.height = Math.max(1, Math.round(height * scale));
    const pen = element.getContext("2d");
    pen.scale(scale, scale);
    pen.clearRect(0, 0, width, height);
    return { pen, width, height };
  };
  const view = () => {
    const all = wave.getWrapper().clientWidth || 1;
    const first = wave.getScroll() / all * values.samples;
    return { first, each: values.samples / all };
  };
  const STEPS = [0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];
  const drawAxis = () => {
    const { pen, width, height } = canvas(byId("axis"));
    const { first, each } = view();
    const step = (STEPS.find((one) => one * rate / each >= 80) || 14400) * rate;
    pen.fillStyle = colour("quiet");
    pen.font = "12px system-ui, sans-serif";
    for (let at = Math.ceil(first / step) * step; at < first + width * each; at += step) {
      const x = (at - first) / each;
      pen.fillRect(x, height - 5, 1, 5);
      pen.fillText(clock(at, step < rate ? 2 : 0), x + 3, height - 6);
    }
  };
  const drawMarks = () => {
    const { pen, width } = canvas(byId("marks"));
    const { first, each } = view();
    const bar = ([start, end], top, high, name) => {
      const x = (start - first) / each;
      const right = (end - first) / each;
      if (right < 0 || x > width) return;
      pen.fillStyle = name;
      pen.fillRect(x, top, Math.max(1, right - x), high);
    };
    const names = {};
    for (const name of ["copied", "remade", "guard", "asked", "removed", "warned", "text"]) names[name] = colour(name);
    PARTIES.forEach((party, row) => {
      const top = row * 30;
      bar(values.kept, top + 17, 8, names.copied);
      for (const part of values.remade) {
        const both = part.channel === "mono" || values.channels === 1;
        const own = part.channel === (channelOf(party, values.channels) ? "right" : "left");
        if (both || own) bar(part.samples, top + 17, 8, names.remade);
      }
      for (const [at, mask] of masks.entries()) {
        if (!covers(mask, party)) continue;
        pen.globalAlpha = mask.decision === "rejected" ? 0.3 : 1;
        bar(applied(mask), top + 4, 11, names.guard);
        bar(mask.asked, top + 4, 11, names.asked);
        pen.globalAlpha = 1;
        if (at === chosen) bar(applied(mask), top + 1, 2, names.text);
        if (mask.shown && mask.shown.crosstalk) bar(applied(mask), top + 26, 3, names.warned);
      }
      for (const part of [[0, values.kept[0]], [values.kept[1], values.samples]]) {
        if (part[0] < part[1]) bar(part, top + 4, 21, names.removed);
      }
    });
  };

  // Regions are for the hand: those of the masks in view, as many as can be told apart
  let own = false;
  const drawRegions = () => {
    own = true;
    plugin.clearRegions();
    const { first, each } = view();
    const last = first + each * byId("wave").clientWidth;
    let left = REGIONS;
    masks.forEach((mask, at) => {
      const isChosen = at === chosen;
      if (mask.asked[1] < first || mask.asked[0] > last || (!isChosen && left-- <= 0)) return;
      const share = mask.decision === "rejected" ? 12 : isChosen ? 50 : 30;
      plugin.addRegion({
        id: `mask-${at}`,
        start: seconds(mask.asked[0]),
        end: seconds(mask.asked[1]),
        channelIdx: mask.party === "both" ? -1 : PARTIES.indexOf(mask.party),
        color: `color-mix(in srgb, ${colour("asked")} ${share}%, transparent)`,
        drag: isChosen,
        resize: isChosen,
      });
    });
    own = false;
  };
  let waiting = 0;
  const drawSoon = () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => { drawAxis(); drawMarks(); drawRegions(); });
  };
  const numberOf = (region) => {
    const found = /^mask-(\d+)$/.exec(region.id);
    return found ? Number(found[1]) : -1;
  };
  const toSamples = (region) => [
    clamp(Math.round(region.start * rate), 0, values.samples - 1),
    clamp(Math.round(region.end * rate), 1, values.samples),
  ];
  let row = 0;
  byId("wave").addEventListener("pointerdown", (event) => {
    const box = byId("wave").getBoundingClientRect();
    row = event.clientY - box.top < box.height / 2 ? 0 : 1;
  }, true);
  plugin.on("region-clicked", (region, event) => {
    event.stopPropagation();
    if (numberOf(region) >= 0) choose(numberOf(region));
  });
  plugin.on("region-updated", (region) => {
    const mask = masks[numberOf(region)];
    if (mask && !own) { mask.asked = toSamples(region); changed(); }
  });
  plugin.on("region-created", (region) => {
    if (own || numberOf(region) >= 0) return;
    const drawn = toSamples(region);
    setTimeout(() => { setDrawing(false); add(PARTIES[row], drawn); }, 0);
  });
  let endDrawing = () => {};
  const setDrawing = (on) => {
    if (on === drawing) return;
    drawing = on;
    endDrawing();
    endDrawing = on ? plugin.enableDragSelection({ color: "rgba(128, 128, 128, 0.4)" }) : () => {};
    byId("new").setAttribute("aria-pressed", String(on));
    say(on ? "Drag over a lane, or press Enter for one second at the cursor, caller; Shift+Enter, callee." : "");
  };
  const add = (party, stretchOf) => {
    const mask = maskOf(party, stretchOf, [...values.guard], null);
    masks.push(mask);
    masks.sort((one, other) => one.asked[0] - other.asked[0]);
    choose(masks.indexOf(mask));
    say(`New mask of ${party}: ${stretch(stretchOf)}.`);
  };

  // The chosen mask

  const FFT = 256;
  const hann = Float32Array.from({ length: FFT }, (_, at) => 0.5 - 0.5 * Math.cos(2 * Math.PI * at / FFT));
  // Powers in decibels of the lower half of the spectrum of FFT samples from `start` on.
  const spectrum = (samples, start) => {
    const real = new Float32Array(FFT);
    const imaginary = new Float32Array(FFT);
    for (let at = 0; at < FFT; at++) {
      let reversed = 0;
      for (let bit = 1; bit < FFT; bit *= 2) reversed = reversed * 2 + (at & bit ? 1 : 0);
      real[reversed] = (samples[start + at] || 0) * hann[at];
    }
    for (let size = 2; size <= FFT; size *= 2) {
      for (let first = 0; first < FFT; first += size) {
        for (let at = 0; at < size / 2; at++) {
          const angle = -2 * Math.PI * at / size;
          const [one, other] = [first + at, first + at + size / 2];
          const re = real[other] * Math.cos(angle) - imaginary[other] * Math.sin(angle);
          const im = real[other] * Math.sin(angle) + imaginary[other] * Math.cos(angle);
          real[other] = real[one] - re;
          imaginary[other] = imaginary[one] - im;
          real[one] += re;
          imaginary[one] += im;
        }
      }
    }
    // A sine at full scale has 0 dB: the window passes half of it, one side of the spectrum half.
    return Float32Array.from({ length: FFT / 2 }, (_, bin) => 20 * Math.log10(
      Math.hypot(real[bin], imaginary[bin]) / (FFT / 4) + 1e-6,
    ));
  };
  let spectral = false;
  const spectrograms = new Map();
  const spectrogramOf = (figure, sound, from, each, width, height) => {
    const key = [from, each, width, height, colour("wave")].join();
    const kept = spectrograms.get(figure);
    if (kept && kept.sound === sound && kept.key === key) return kept.drawn;
    const drawn = document.createElement("canvas");
    drawn.width = width;
    drawn.height = height;
    const pen = drawn.getContext("2d");
    const image = pen.createImageData(width, height);
    pen.fillStyle = colour("wave");
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
    const half = Math.floor(height / 2);
    PARTIES.forEach((party, number) => {
      const samples = sound.buffer.getChannelData(channelOf(party, sound.buffer.numberOfChannels));
      for (let x = 0; x < width; x++) {
        const start = Math.round(from - sound.start + (x + 0.5) * each);
        if (start < 0 || start >= samples.length) continue;
        const powers = spectrum(samples, start - FFT / 2);
        for (let y = 0; y < half; y++) {
          const power = powers[Math.floor((half - 1 - y) / half * FFT / 2)];
          const at = 4 * ((number * half + y) * width + x);
          image.data.set([red, green, blue, 255 * clamp((power + 80) / 70, 0, 1)], at);
        }
      }
    });
    pen.putImageData(image, 0, 0);
    spectrograms.set(figure, { sound, key, drawn });
    return drawn;
  };
  const drawClip = (figure, sound, mask) => {
    const { pen, width, height } = canvas(figure.querySelector("canvas"));
    figure.classList.toggle("chosen", figure.dataset.kind === version);
    if (!sound) {
      pen.fillStyle = colour("quiet");
      pen.font = "14px system-ui, sans-serif";
      pen.fillText("No clip of this place.", 10, 24);
      return;
    }
    // All versions on one clock, also where one begins later: edges stand below one another.
    const [from, to] = around(mask);
    const each = (to - from) / width;
    const bar = (at, name, wide) => {
      pen.fillStyle = colour(name);
      pen.fillRect((at - from) / each - wide / 2, 0, wide, height);
    };
    const [first, last] = applied(mask);
    if (spectral) pen.drawImage(spectrogramOf(figure, sound, from, each, width, height), 0, 0);
    PARTIES.forEach((party, number) => {
      const middle = height * (number * 2 + 1) / 4;
      if (covers(mask, party)) {
        pen.globalAlpha = 0.18;
        pen.fillStyle = colour("asked");
        pen.fillRect((first - from) / each, middle - height / 4, (last - first) / each, height / 2);
        pen.globalAlpha = 1;
      }
      if (spectral) return;
      const samples = sound.buffer.getChannelData(channelOf(party, sound.buffer.numberOfChannels));
      pen.fillStyle = colour("wave");
      for (let x = 0; x < width; x++) {
        const start = Math.floor(from - sound.start + x * each);
        const end = Math.min(samples.length, Math.max(start + 1, Math.floor(from - sound.start + (x + 1) * each)));
        if (start < 0 || start >= samples.length) continue;
        let least = 0;
        let most = 0;
        for (let at = start; at < end; at++) {
          if (samples[at] < least) least = samples[at];
          if (samples[at] > most) most = samples[at];
        }
        const scale = height / 4 - 2;
        const top = middle - clamp(most, -1, 1) * scale;
        pen.fillRect(x, top, 1, Math.max(1, middle - clamp(least, -1, 1) * scale - top));
      }
    });
    pen.fillStyle = colour("line");
    pen.fillRect(0, height / 2, width, 1);
    bar(first, "guard", 2);
    bar(last, "guard", 2);
    bar(mask.asked[0], "asked", edge === 0 ? 3 : 1);
    bar(mask.asked[1], "asked", edge === 1 ? 3 : 1);
    const at = position();
    if (at !== null && at >= from && at <= to) bar(at, "focus", 2);
  };
  let sounds = {};
  const drawClips = () => {
    const mask = masks[chosen];
    if (!mask) return;
    for (const figure of byId("clips").children) drawClip(figure, sounds[figure.dataset.kind], mask);
  };
  const loadClips = async () => {
    const mask = masks[chosen];
    if (!mask) return;
    const found = {};
    for (const kind of VERSIONS) {
      try {
        found[kind] = await soundOf(kind, ...around(mask));
      } catch {
        say("This browser can't decode a clip.");
      }
    }
    if (masks[chosen] !== mask) return;
    sounds = found;
    drawClips();
  };

  const drawWords = () => {
    const mask = masks[chosen];
    byId("words").hidden = !values.words.length || !mask;
    byId("words").replaceChildren();
    if (!mask) return;
    const [low, high] = around(mask).map(seconds);
    const [from, to] = applied(mask).map(seconds);
    for (const party of [...PARTIES, "both"]) {
      const near = values.words.filter((word) => word[0] === party && word[1] < high && word[2] > low);
      if (!near.length) continue;
      const term = document.createElement("dt");
      term.textContent = party === "both" ? "unknown party" : party;
      const said = document.createElement("dd");
      for (const [, start, end, text] of near) {
        const inside = (party === "both" || covers(mask, party)) && start < to && end > from;
        const word = document.createElement(inside ? "mark" : "bdi");
        word.textContent = text;
        word.dir = "auto";
        said.append(word, " ");
      }
      byId("words").append(term, said);
    }
  };

  // What is said of the masks

  const cell = (parent, text, name) => {
    const made = document.createElement("td");
    made.textContent = text;
    if (name) made.className = name;
    parent.append(made);
    return made;
  };
  const notes = (mask) => {
    const found = [];
    if (!mask.shown) found.push("new");
    if (isMoved(mask)) found.push("moved");
    if (mask.shown && mask.shown.crosstalk) found.push(`crosstalk: coherence ${mask.shown.coherence}`);
    if (mask.shown && mask.shown.sharedFrames) found.push(`${mask.shown.sharedFrames} frames coded with the other party`);
    const [from, to] = applied(mask);
    if (mask.asked[0] < 0 || mask.asked[1] > values.samples) found.push("clipped to the recording");
    if (from >= values.kept[1] || to <= values.kept[0]) found.push("trimmed off");
    return found.join(", ");
  };
  const list = () => {
    const body = byId("rows");
    const had = body.contains(document.activeElement);
    body.replaceChildren();
    for (let at = page * ROWS; at < Math.min(masks.length, (page + 1) * ROWS); at++) {
      const mask = masks[at];
      const line = document.createElement("tr");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = String(at + 1);
      button.setAttribute("aria-label", `Choose mask ${at + 1}`);
      button.addEventListener("click", () => choose(at));
      cell(line, "").append(button);
      cell(line, mask.party);
      cell(line, stretch(mask.asked));
      cell(line, stretch(applied(mask)));
      cell(line, mask.decision, mask.decision);
      cell(line, notes(mask), mask.shown && mask.shown.crosstalk ? "warn" : "");
      if (at === chosen) {
        line.setAttribute("aria-current", "true");
        if (had) setTimeout(() => button.focus(), 0);
      }
      body.append(line);
    }
    const open = masks.filter((mask) => mask.decision === "open").length;
    const pages = Math.max(1, Math.ceil(masks.length / ROWS));
    byId("count").textContent = `${masks.length} in all, ${open} open${pages > 1 ? `, page ${page + 1} of ${pages}` : ""}`;
    byId("earlier").hidden = byId("later").hidden = pages === 1;
  };
  const label = () => {
    byId("play").firstChild.textContent = playing ? "Stop " : "Play ";
  };
  const refresh = () => {
    const mask = masks[chosen];
    byId("mask-title").textContent = mask
      ? `Mask ${chosen + 1}: ${mask.party}, ${stretch(mask.asked)}, ${mask.decision}` : "No mask";
    for (const button of document.querySelectorAll("#edges button, #edges select")) button.disabled = !mask;
    byId("clips").hidden = !mask;
    byId("edge").value = String(edge);
    byId("version").value = version;
    byId("solo").value = solo;
    list();
    drawWords();
    drawSoon();
  };
  const changed = () => { refresh(); loadClips(); };
  const choose = (at) => {
    if (!masks.length) return;
    stop();
    chosen = clamp(at, 0, masks.length - 1);
    page = Math.floor(chosen / ROWS);
    const middle = seconds((masks[chosen].asked[0] + masks[chosen].asked[1]) / 2);
    wave.setTime(clamp(seconds(masks[chosen].asked[0]), 0, duration));
    const all = wave.getWrapper().clientWidth;
    wave.setScroll(Math.max(0, middle / duration * all - byId("wave").clientWidth / 2));
    changed();
    say(`Mask ${chosen + 1} of ${masks.length}. ${notes(masks[chosen])}`);
  };
  const decide = (decision) => {
    const mask = masks[chosen];
    if (!mask) return;
    mask.decision = mask.decision === decision ? "open" : decision;
    say(`Mask ${chosen + 1}: ${mask.decision}.`);
    changed();
  };
  const move = (ms) => {
    const mask = masks[chosen];
    if (!mask) return;
    const to = mask.asked[edge] + Math.round(ms * rate / 1000);
    mask.asked[edge] = edge === 0
      ? clamp(to, 0, Math.min(mask.asked[1], values.samples) - 1)
      : clamp(to, Math.max(mask.asked[0], 0) + 1, values.samples);
    if (!values.afterOnly) version = "preview";
    changed();
    say(`${edge === 0 ? "Start" : "End"} at ${clock(mask.asked[edge])}.`);
    play(Math.max(0, mask.asked[edge] - rate), Math.min(values.samples, mask.asked[edge] + rate));
  };
  const setVersion = (name) => {
    const wasPlaying = playing !== null;
    version = name;
    refresh();
    loadClips();
    say(`Version: ${version}.`);
    stop();
    if (wasPlaying) toggle();
  };
  const setSolo = (party) => {
    const wasPlaying = playing !== null;
    solo = party;
    refresh();
    say(party ? `Hear ${party} alone.` : "Hear both parties.");
    stop();
    if (wasPlaying) toggle();
  };
  const setSpectral = (on) => {
    spectral = on;
    byId("spectral").setAttribute("aria-pressed", String(on));
    drawClips();
    say(on ? `Spectrogram from 0 to ${rate / 2} Hz, from −80 to −10 dB.` : "Waveform.");
  };
  const setZoom = (share) => {
    byId("zoom").value = String(clamp(share, 0, 100));
    const fit = byId("wave").clientWidth / duration;
    wave.zoom(share <= 0 ? 0 : fit * (Math.max(200, 2 * fit) / fit) ** (share / 100));
    if (masks[chosen]) {
      const all = wave.getWrapper().clientWidth;
      wave.setScroll(Math.max(0, seconds(masks[chosen].asked[0]) / duration * all - byId("wave").clientWidth / 2));
    }
    drawSoon();
  };

  // What goes out: times that name these very samples again, whichever way they are rounded

  const BILLION = 1000000000n;
  const wire = (samples, up) => {
    const scaled = BigInt(samples) * BILLION + (up ? BigInt(rate) - 1n : 0n);
    return Number(scaled / BigInt(rate)) / 1e9;
  };
  const times = (mask) => ({
    from: wire(clamp(mask.asked[0], 0, values.samples), true),
    to: wire(clamp(mask.asked[1], 0, values.samples), false),
  });
  const params = () => {
    const made = {};
    if (values.trimAsked) made.trim = { from: wire(values.kept[0], true), to: wire(values.kept[1], false) };
    for (const party of [...PARTIES, "both"]) {
      const own = masks.filter((mask) => mask.party === party && mask.decision !== "rejected");
      if (own.length) (made.mask ||= {})[party] = own.map(times);
    }
    return made;
  };
  const labels = () => masks.filter((mask) => mask.decision !== "rejected").map((mask) => {
    const [from, to] = applied(mask).map((at) => at * 1e6 / rate);
    const micros = [Math.floor(from), Math.ceil(to)].map((one) => (one / 1e6).toFixed(6));
    return `${micros[0]}\t${micros[1]}\t${mask.party}: mask\n`;
  }).join("");
  const decisions = () => ({
    review: {
      version: 1,
      reviewer: byId("reviewer").value,
      time: new Date().toISOString(),
      sourceSha256: values.sourceSha256 || null,
      outputSha256: values.outputSha256,
      masks: masks.map((mask) => ({
        party: mask.party, ...times(mask), decision: mask.decision,
        was: mask.shown ? { party: mask.shown.party, samples: mask.shown.asked } : null,
      })),
    },
    modificationParams: params(),
  });
  const save = (name, text, type) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    say(`${name} is saved where this browser keeps downloads.`);
  };
  const load = (text) => {
    const read = JSON.parse(text);
    const review = read.review;
    if (!review || review.version !== 1 || !Array.isArray(review.masks)) throw new Error("This is no file of decisions.");
    if (review.outputSha256 !== values.outputSha256) throw new Error("These decisions are of another output.");
    const made = review.masks.map((one) => {
      const known = PARTIES.includes(one.party) || one.party === "both";
      if (!known || !["open", "approved", "rejected"].includes(one.decision)) throw new Error("A mask is not as this page writes it.");
      const asked = [Math.floor(one.from * rate + 1e-3), Math.ceil(one.to * rate - 1e-3)];
      if (!(asked[0] >= 0 && asked[0] < asked[1] && asked[1] <= values.samples)) throw new Error("A mask is not inside the recording.");
      const from = one.was && given().find((mask) => mask.party === one.was.party
        && mask.asked[0] === one.was.samples[0] && mask.asked[1] === one.was.samples[1]);
      const mask = from || maskOf(one.party, asked, [...values.guard], null);
      const clipped = from && [clamp(from.asked[0], 0, values.samples), clamp(from.asked[1], 0, values.samples)];
      if (!from || clipped[0] !== asked[0] || clipped[1] !== asked[1]) mask.asked = asked;
      mask.decision = one.decision;
      return mask;
    });
    masks = made;
    chosen = masks.length ? 0 : -1;
    byId("reviewer").value = String(review.reviewer || "").slice(0, 200);
    page = 0;
    changed();
    say(`${made.length} decisions are loaded.`);
  };

  // The page

  const item = (list, text, name) => {
    const made = document.createElement("li");
    made.textContent = text;
    if (name) made.className = name;
    byId(list).append(made);
  };
  if (values.sourceName || values.outputName) byId("name").textContent = values.sourceName || values.outputName;
  byId("facts").textContent = [
    `${clock(values.samples)} at ${rate} Hz`,
    values.trimAsked ? `kept ${stretch(values.kept)}` : "",
    `render: ${values.render}`,
    values.sourceSha256 ? `source ${values.sourceSha256.slice(0, 12)}…` : "",
    `output ${values.outputSha256.slice(0, 12)}…`,
    `audioengine ${values.version}`,
  ].filter(Boolean).join(" · ");
  const notice = values.afterOnly
    ? "This page holds nothing of the source: no sound, waveform, name or warning of it."
    : values.differs
      ? "The output is not what this version of store makes of the source with this edit: masks and frames are shown as it would make them."
      : "";
  byId("notice").textContent = notice;
  byId("notice").hidden = !notice;
  for (const [name, count] of Object.entries(values.frames || {})) {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = count.toLocaleString("en");
    byId("frames").append(term, text);
  }
  for (const check of values.checks || []) {
    item("checks", `${check.passed ? "✓" : "✗"} ${check.name}${check.message ? `: ${check.message}` : ""}`, check.passed ? "approved" : "rejected");
  }
  if (!values.checks) item("checks", "Not asked for.");
  for (const one of values.warnings || []) item("warnings", `${one.code}: ${one.message}`);
  byId("frames").parentElement.hidden = values.afterOnly;
  if (values.afterOnly) item("warnings", "Left out: they speak of the source.");
  else if (!values.warnings.length) item("warnings", "None.");
  for (const kind of VERSIONS) {
    byId("version").append(new Option(kind, kind));
    if (kind !== "preview") byId("shown").append(new Option(kind, kind));
    const figure = document.createElement("figure");
    figure.dataset.kind = kind;
    const drawn = document.createElement("canvas");
    drawn.setAttribute("role", "img");
    drawn.setAttribute("aria-label", `Waveform of both parties around the mask, ${kind}`);
    const caption = document.createElement("figcaption");
    caption.textContent = { before: "Before", after: "After", preview: "Preview of the masks as they are now" }[kind];
    figure.append(caption, drawn);
    byId("clips").append(figure);
  }
  byId("shown").value = shown;
  const on = (id, kind, act) => byId(id).addEventListener(kind, act);
  on("play", "click", toggle);
  on("next", "click", () => choose(chosen + 1));
  on("previous", "click", () => choose(chosen - 1));
  on("new", "click", () => setDrawing(!drawing));
  on("spectral", "click", () => setSpectral(!spectral));
  on("approve", "click", () => decide("approved"));
  on("reject", "click", () => decide("rejected"));
  on("reset", "click", () => {
    const mask = masks[chosen];
    mask.decision = "open";
    if (mask.shown) mask.asked = [...mask.original];
    else { masks.splice(chosen, 1); chosen = masks.length ? Math.min(chosen, masks.length - 1) : -1; }
    changed();
    say("Undone.");
  });
  on("edge", "change", (event) => { edge = Number(event.target.value); refresh(); drawClips(); });
  on("version", "change", (event) => setVersion(event.target.value));
  on("solo", "change", (event) => setSolo(event.target.value));
  on("shown", "change", (event) => {
    shown = event.target.value;
    wave.setOptions({ peaks: waveformOf(shown), duration });
    drawSoon();
  });
  on("zoom", "input", (event) => setZoom(Number(event.target.value)));
  on("earlier", "click", () => { page = Math.max(0, page - 1); list(); });
  on("later", "click", () => { page = Math.min(Math.ceil(masks.length / ROWS) - 1, page + 1); list(); });
  for (const button of document.querySelectorAll("[data-move]")) {
    button.addEventListener("click", () => move(Number(button.dataset.move)));
  }
  on("save-params", "click", () => save("modification-params.json", JSON.stringify(params(), null, 1), "application/json"));
  on("save-labels", "click", () => save("labels.txt", labels(), "text/plain"));
  on("save-decisions", "click", () => save("decisions.json", JSON.stringify(decisions(), null, 1), "application/json"));
  on("load", "change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    try {
      load(await file.text());
    } catch (error) {
      say(`The decisions can't be loaded: ${error.message}`);
    }
    event.target.value = "";
  });
  const after = (list, one) => list[(list.indexOf(one) + 1) % list.length];
  const KEYS = {
    " ": toggle,
    j: () => choose(chosen + 1),
    k: () => choose(chosen - 1),
    b: () => setVersion(after(VERSIONS, version)),
    m: () => setSolo(after(["", ...PARTIES], solo)),
    e: () => { edge = 1 - edge; refresh(); drawClips(); say(edge ? "Edge: end." : "Edge: start."); },
    "[": () => move(-10),
    "]": () => move(10),
    "{": () => move(-1),
    "}": () => move(1),
    a: () => decide("approved"),
    r: () => decide("rejected"),
    n: () => setDrawing(!drawing),
    s: () => setSpectral(!spectral),
    "+": () => setZoom(Number(byId("zoom").value) + 10),
    "-": () => setZoom(Number(byId("zoom").value) - 10),
  };
  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    const inText = target.matches("input:not([type=range]), select, textarea");
    if (inText || event.metaKey || (event.ctrlKey && !event.altKey)) return;
    if (drawing && key === "Escape") { setDrawing(false); return; }
    if (drawing && key === "Enter" && !target.matches("button, summary")) {
      const at = clamp(Math.round(wave.getCurrentTime() * rate), 0, values.samples - 1);
      setDrawing(false);
      add(PARTIES[event.shiftKey ? 1 : 0], [at, Math.min(values.samples, at + rate)]);
      return;
    }
    if (key === " " && target.matches("button, summary")) return;
    // Where the layout gives other letters with Shift, the key itself counts.
    const ms = event.shiftKey && { BracketLeft: "{", BracketRight: "}" }[event.code];
    const act = KEYS[ms || (key.length === 1 ? key.toLowerCase() : key)];
    if (!act) return;
    event.preventDefault();
    act();
  });
  for (const event of ["scroll", "zoom", "ready", "redraw"]) wave.on(event, drawSoon);
  window.addEventListener("resize", () => { drawSoon(); drawClips(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    wave.setOptions({ splitChannels: [lane(), lane()], cursorColor: colour("focus") });
    drawSoon();
    drawClips();
  });
  changed();
  document.body.dataset.ready = "true";
})();
