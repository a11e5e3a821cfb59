// Pictures that a slider changes. A page has <div class="widget" data-widget="NAME"></div>
// below a figure that shows the same; without JavaScript only the figure is shown.
//
// A widget that shows trained networks has its own script, widgets/NAME.js, which sets
// bookWidgets.NAME to a function of its data and of the tools below. `tutorials widgets`
// makes the data from records: data/NAME.js, a call of bookData. A second widget of a
// chapter names that data in data-of; data-needs names a script to load first. Pages that
// are opened as files can load scripts, too.
(function () {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const HOME = document.currentScript.src;

  function draw(parent, name, attributes, text) {
    const element = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function write(parent, name, text) {
    const element = document.createElement(name);
    element.textContent = text;
    parent.append(element);
    return element;
  }

  function makeInput({ options, accept, min, max, step, start }) {
    const input = document.createElement(options ? "select" : "input");
    if (options) options.forEach((option, k) => (write(input, "option", option).value = k));
    else if (accept) return Object.assign(input, { type: "file", accept });
    else Object.assign(input, { type: "range", min, max, step });
    input.value = start;
    return input;
  }

  // A legend, sliders and choices with their names, a drawing, and a line that says what
  // it shows. `show` may need a while for a file, so it can ask to be called again.
  function build(place, { title, width, height, controls, show, runs }) {
    place.replaceChildren();
    const box = write(place, "fieldset", "");
    write(box, "legend", title);
    const inputs = controls.map((control) => {
      const input = makeInput(control);
      write(box, "label", `${control.name} `).append(input);
      input.addEventListener("input", update);
      if (control.accept) takeDrops(box, input);
      return input;
    });
    const drawing = draw(box, "svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    drawing.style.maxWidth = `${width}px`;
    const said = write(box, "output", "");
    said.setAttribute("aria-live", "polite");
    function update() {
      drawing.replaceChildren();
      const values = inputs.flatMap((input) => (input.files ? [input.files[0], update] : Number(input.value)));
      const text = show(drawing, ...values);
      said.textContent = text;
      inputs.filter((input) => input.type === "range").forEach((input) => input.setAttribute("aria-valuetext", text));
    }
    update();
    if (runs) nameRuns(write(box, "p", "Runs: "), runs);
  }

  // A file that is dropped anywhere on a widget counts as chosen.
  function takeDrops(box, input) {
    box.addEventListener("dragover", (event) => event.preventDefault());
    box.addEventListener("drop", (event) => {
      event.preventDefault();
      input.files = event.dataTransfer.files;
      input.dispatchEvent(new Event("input"));
    });
  }

  function nameRuns(line, runs) {
    runs.forEach(({ name, record, arrays }, k) => {
      if (k) line.append("; ");
      write(line, "a", name).href = record;
      if (arrays) line.append(` (arrays ${arrays.slice(0, 8)})`);
    });
  }

  const scripts = {};

  // A promise that a script is loaded; each is loaded only once.
  function load(path) {
    scripts[path] ??= new Promise((tell) => {
      const script = document.createElement("script");
      script.src = new URL(path, HOME);
      // One after the other.
      script.async = false;
      ["load", "error"].forEach((end) => script.addEventListener(end, tell));
      document.head.append(script);
    });
    return scripts[path];
  }

  // A promise of the data in a file, or of undefined if there are none.
  async function loadData(name) {
    await load(`data/${name}.js`);
    return window.bookData[name];
  }

  async function buildFromData(place, { widget, of = widget, needs }) {
    const files = [needs, widget].filter(Boolean).map((name) => load(`widgets/${name}.js`));
    const data = await loadData(of);
    await Promise.all(files);
    if (data) build(place, { runs: data.runs, ...window.bookWidgets[widget](data, tools) });
    else {
      place.textContent = "These runs have not been made yet; see ";
      write(place, "a", "Running the full book").href = "full_book.html";
      place.append(".");
    }
  }

  window.bookData = (name, data) => (window.bookData[name] = data);

  // Numbers that were packed as base64, such as unpack(text, Float32Array).
  function unpack(text, Kind) {
    return new Kind(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  }

  // The most probable class except those that are shown already.
  function findRival(shares, ...shown) {
    const rivals = shares.map((share, k) => (shown.includes(k) ? -1 : share));
    return rivals.indexOf(Math.max(...rivals));
  }

  // A square image of bytes, grey or in colour.
  function drawImage(drawing, pixels, { x, y, size }) {
    const channels = [3, 1].find((n) => Number.isInteger(Math.sqrt(pixels.length / n)));
    const side = Math.sqrt(pixels.length / channels);
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const picture = new ImageData(side, side);
    picture.data.forEach((_, k) => {
      const channel = Math.min(k % 4, channels - 1);
      picture.data[k] = k % 4 === 3 ? 255 : pixels[Math.floor(k / 4) * channels + channel];
    });
    canvas.getContext("2d").putImageData(picture, 0, 0);
    draw(drawing, "image", { href: canvas.toDataURL(), x, y, width: size, height: size });
  }

  // A share of 1 as a bar with name and percentage, and a mark where it should end.
  function drawShare(drawing, share, { name, y, x = 92, width = 176, kind = "bar", target }) {
    draw(drawing, "text", { x: x - 6, y: y + 11, "text-anchor": "end" }, name);
    draw(drawing, "rect", { x, y, width, height: 14, class: "whole" });
    draw(drawing, "rect", { x, y, width: width * share, height: 14, class: kind });
    if (target !== undefined) {
      const place = x + width * target;
      draw(drawing, "path", { d: `M${place} ${y - 3}v20`, class: "aim" });
    }
    draw(drawing, "text", { x: x + width + 52, y: y + 11, "text-anchor": "end" }, writeShare(share));
  }

  // Curves over the slider's range, as parts of 1, with a mark at the slider's value.
  // The first, in grey, is the one that the second is compared with.
  function drawChart(drawing, { title, y, lines, ticks, xlabel, at, top }) {
    const [left, wide, high] = [44, 260, 90];
    const bottom = y + 20 + high;
    draw(drawing, "text", { x: 0, y }, title);
    draw(drawing, "path", { d: `M${left} ${bottom - high}V${bottom}H${left + wide}`, class: "axis" });
    ticks.forEach((tick, k) => {
      const x = left + (wide * k) / (ticks.length - 1);
      draw(drawing, "text", { x, y: bottom + 16, "text-anchor": "middle" }, tick);
    });
    draw(drawing, "text", { x: left + wide / 2, y: bottom + 32, "text-anchor": "middle" }, xlabel);
    [0, top].forEach((value) =>
      draw(drawing, "text", { x: left - 6, y: bottom - (high * value) / top + 4, "text-anchor": "end" }, Math.round(100 * value)),
    );
    Object.entries(lines).forEach(([name, values], which) => {
      const kind = which ? "curve" : "curve other";
      const step = wide / (values.length - 1);
      drawCurve(drawing, values.map((value, k) => [left + step * k, bottom - (high * value) / top]), kind);
      draw(drawing, "path", { d: `M${130 * which} ${bottom + 48}h24`, class: kind });
      draw(drawing, "text", { x: 130 * which + 30, y: bottom + 52 }, name);
    });
    draw(drawing, "path", { d: `M${left + wide * at} ${bottom}v${-high}`, class: "target" });
  }

  function writeShare(share) {
    return `${(100 * share).toFixed(1)}%`;
  }

  function drawCurve(drawing, points, kind = "curve") {
    const path = points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`);
    draw(drawing, "path", { d: path.join(""), class: kind });
  }

  // Two images and their labels, blended by one mixing weight.
  const mix = {
    title: "Mix two images yourself",
    width: 320,
    height: 130,
    controls: [{ name: "mixing weight λ", min: 0, max: 1, step: 0.05, start: 0.75 }],
    show(drawing, weight) {
      const shapes = [
        (parent) => draw(parent, "circle", { cx: 60, cy: 60, r: 34, class: "ring" }),
        (parent) => draw(parent, "path", { d: "M60 22V98M22 60H98", class: "plus" }),
      ];
      const shares = [
        [1, 0],
        [weight, 1 - weight],
        [0, 1],
      ];
      shares.forEach((share, k) => {
        const tile = draw(drawing, "g", { transform: `translate(${k * 115} 0) scale(0.75)` });
        draw(tile, "rect", { width: 120, height: 120, class: "tile" });
        shapes.forEach((shape, which) => shape(tile).setAttribute("opacity", share[which]));
        const label = share.map((value) => value.toFixed(2)).join(", ");
        ["label", `(${label})`].forEach((text, row) =>
          draw(drawing, "text", { x: 45 + k * 115, y: 108 + 16 * row, "text-anchor": "middle" }, text),
        );
      });
      draw(drawing, "text", { x: 102, y: 50, "text-anchor": "middle" }, "→");
      draw(drawing, "text", { x: 217, y: 50, "text-anchor": "middle" }, "←");
      return `λ = ${weight.toFixed(2)}: image and label are ${weight.toFixed(2)} ring and ${(1 - weight).toFixed(2)} plus`;
    },
  };

  // Lanczos' approximation, good to ten digits for x above 0.
  function logGamma(x) {
    const c = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2, -0.5395239384953e-5];
    const sum = c.reduce((total, value, k) => total + value / (x + k + 1), 1.000000000190015);
    return -(x + 5.5) + (x + 0.5) * Math.log(x + 5.5) + Math.log((2.5066282746310005 * sum) / x);
  }

  function betaDensity(x, alpha) {
    const norm = logGamma(2 * alpha) - 2 * logGamma(alpha);
    return Math.exp(norm + (alpha - 1) * (Math.log(x) + Math.log(1 - x)));
  }

  // The share of draws in which one of the two images contributes under a tenth. The
  // integral is taken over log x, where the walls at 0 and 1 are smooth.
  function shareUnmixed(alpha) {
    const steps = 4000;
    const low = -60 / Math.max(alpha, 0.05);
    const width = (Math.log(0.1) - low) / steps;
    const norm = logGamma(2 * alpha) - 2 * logGamma(alpha);
    let total = 0;
    for (let k = 0; k < steps; k += 1) {
      const t = low + (k + 0.5) * width;
      total += Math.exp(norm + alpha * t + (alpha - 1) * Math.log1p(-Math.exp(t)));
    }
    return Math.min(1, 2 * total * width);
  }

  const beta = {
    title: "Change alpha yourself",
    width: 320,
    height: 210,
    // In steps of a tenth of a factor of ten, from 0.05 to 5.
    controls: [{ name: "α", min: -13, max: 7, step: 1, start: -7 }],
    show(drawing, exponent) {
      const alpha = Number((10 ** (exponent / 10)).toPrecision(2));
      const [left, bottom, wide, high] = [40, 170, 270, 150];
      const points = Array.from({ length: 201 }, (_, k) => {
        const x = 0.0025 + (0.995 * k) / 200;
        return [left + wide * x, bottom - (high * betaDensity(x, alpha)) / 3];
      });
      draw(drawing, "path", { d: `M${left} 15V${bottom}H${left + wide}`, class: "axis" });
      [0, 0.5, 1].forEach((x) =>
        draw(drawing, "text", { x: left + wide * x, y: bottom + 16, "text-anchor": "middle" }, x),
      );
      [0, 1, 2, 3].forEach((y) =>
        draw(drawing, "text", { x: left - 8, y: bottom - (high * y) / 3 + 4, "text-anchor": "end" }, y),
      );
      draw(drawing, "text", { x: left + wide / 2, y: bottom + 34, "text-anchor": "middle" }, "mixing weight λ");
      draw(drawing, "text", { x: left + wide / 2, y: 14, "text-anchor": "middle" }, "density");
      drawCurve(drawing, points);
      const share = Math.round(100 * shareUnmixed(alpha));
      return `α = ${alpha}: in ${share}% of all mixes one image contributes less than a tenth`;
    },
  };

  // The power iteration in a plane: each step stretches d by H and scales it back to
  // length 1. H has eigenvalues 1 and 0.6, its top eigenvector points up and right.
  const power = {
    title: "Step through the power iteration yourself",
    width: 300,
    height: 300,
    controls: [{ name: "steps", min: 0, max: 10, step: 1, start: 0 }],
    show(drawing, steps) {
      const [top, weak, angle] = [1, 0.6, Math.PI / 5];
      const along = Math.cos(1.35) * top ** steps;
      const across = Math.sin(1.35) * weak ** steps;
      const length = Math.hypot(along, across);
      const turn = (x, y) => [
        150 + 110 * (Math.cos(angle) * x - Math.sin(angle) * y),
        150 - 110 * (Math.sin(angle) * x + Math.cos(angle) * y),
      ];
      draw(drawing, "circle", { cx: 150, cy: 150, r: 110, class: "axis" });
      // The KL divergence is the same all along this ellipse.
      const ellipse = Array.from({ length: 121 }, (_, k) => {
        const t = (Math.PI * k) / 60;
        return turn(0.6 * Math.cos(t), (0.6 * Math.sin(t)) / Math.sqrt(weak));
      });
      draw(drawing, "path", { d: `M${ellipse.map((p) => p.join(" ")).join("L")}Z`, class: "axis" });
      const ends = [turn(-1.2, 0), turn(1.2, 0)];
      draw(drawing, "path", { d: `M${ends[0].join(" ")}L${ends[1].join(" ")}`, class: "target" });
      drawCurve(drawing, [turn(0, 0), turn(along / length, across / length)]);
      const [x, y] = turn(along / length, across / length);
      draw(drawing, "circle", { cx: x, cy: y, r: 6, class: "end" });
      return `Steps: ${steps}. Cosine between d (blue) and the sought direction (dashed): ${(along / length).toFixed(3)}`;
    },
  };

  // Linear decay: of L blocks, block l survives with probability 1 - l / L (1 - p).
  const survival = {
    title: "Change the last block's survival probability yourself",
    width: 320,
    height: 200,
    controls: [{ name: "survival probability of the last block", min: 0, max: 1, step: 0.05, start: 0.8 }],
    show(drawing, last) {
      const blocks = 16;
      const [left, bottom, wide, high] = [40, 160, 15, 140];
      let kept = 0;
      for (let l = 1; l <= blocks; l += 1) {
        const p = 1 - (l / blocks) * (1 - last);
        kept += p;
        draw(drawing, "rect", {
          x: left + (l - 1) * (wide + 2),
          y: bottom - high * p,
          width: wide,
          height: high * p,
          class: "bar",
        });
      }
      draw(drawing, "path", { d: `M${left - 4} 15V${bottom}H${left + blocks * (wide + 2)}`, class: "axis" });
      [0, 0.5, 1].forEach((p) =>
        draw(drawing, "text", { x: left - 10, y: bottom - high * p + 4, "text-anchor": "end" }, p),
      );
      [1, 8, 16].forEach((l) =>
        draw(drawing, "text", { x: left + (l - 0.5) * (wide + 2), y: bottom + 16, "text-anchor": "middle" }, l),
      );
      draw(drawing, "text", { x: left + 8 * (wide + 2), y: bottom + 34, "text-anchor": "middle" }, "residual block");
      draw(drawing, "text", { x: left, y: 13 }, "probability that a block is kept");
      return `p = ${last.toFixed(2)}: ${kept.toFixed(1)} of ${blocks} blocks are kept on average`;
    },
  };

  const tools = { draw, drawChart, drawImage, drawShare, findRival, loadData, unpack, writeShare };
  const WIDGETS = { mix, beta, power, survival };

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("div.widget").forEach((place) => {
      const name = place.dataset.widget;
      if (WIDGETS[name]) build(place, WIDGETS[name]);
      else buildFromData(place, place.dataset);
    });
  });
})();
