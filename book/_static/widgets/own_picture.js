// What the network that cifar10_fast keeps answers to the reader's own picture. Its weights
// are loaded with the first picture.
(function () {
  "use strict";

  const { convolve, gelu, pad, pool, softmax, weigh } = window.bookLayers;
  const SIDE = 32;
  // Of each colour over CIFAR-10, as in tutorials_lib/airbench.
  const [MEAN, STD] = [[0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]];

  // The square in the middle, reduced to 32x32: each pixel is the mean of the area that it
  // covers. In strips, because a telephone may not be able to draw a whole photograph.
  function shrink(picture) {
    const side = Math.min(picture.width, picture.height);
    const [left, top] = [picture.width, picture.height].map((length) => Math.floor((length - side) / 2));
    const step = side / SIDE;
    const pixels = new Uint8ClampedArray(SIDE * SIDE * 3);
    const overlap = (at, k) => Math.min(k + 1, (at + 1) * step) - Math.max(k, at * step);
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    for (let row = 0; row < SIDE; row += 1) {
      const [first, last] = [Math.floor(row * step), Math.min(Math.ceil((row + 1) * step), side)];
      Object.assign(canvas, { width: side, height: last - first });
      // What is transparent is white.
      context.fillStyle = "white";
      context.fillRect(0, 0, side, last - first);
      context.drawImage(picture, -left, -top - first);
      const { data } = context.getImageData(0, 0, side, last - first);
      for (let column = 0; column < SIDE; column += 1) {
        const sums = [0, 0, 0];
        for (let y = first; y < last; y += 1)
          for (let x = Math.floor(column * step); x < Math.min((column + 1) * step, side); x += 1) {
            const share = (overlap(row, y) * overlap(column, x)) / step ** 2;
            for (let c = 0; c < 3; c += 1) sums[c] += share * data[((y - first) * side + x) * 4 + c];
          }
        pixels.set(sums, (row * SIDE + column) * 3);
      }
    }
    return pixels;
  }

  function mirror(pixels) {
    return pixels.map((_, k) => {
      const place = Math.floor(k / 3);
      return pixels[(place + SIDE - 1 - 2 * (place % SIDE)) * 3 + (k % 3)];
    });
  }

  // Batch norm without a scale, then a bias that learned 8 times as fast, then GELU.
  function finish(image, mean, variance, bias) {
    return image.map((value, k) => {
      const c = k % bias.length;
      return gelu((value - mean[c]) / Math.sqrt(variance[c] + 1e-12) + 8 * bias[c]);
    });
  }

  // A whitening convolution, then three blocks: convolution, pool, convolution.
  function findLogits([whitening, bias, ...weights], pixels) {
    const scaled = Float64Array.from(pixels, (pixel, k) => (pixel / 255 - MEAN[k % 3]) / STD[k % 3]);
    let image = convolve(scaled, SIDE, whitening, bias, 2).map(gelu);
    let side = SIDE - 1;
    for (let k = 0; k < 6; k += 1) {
      const [kernel, ...norm] = weights.slice(4 * k, 4 * k + 4);
      image = convolve(pad(image, side), side + 2, kernel, new Float64Array(norm[0].length), 3);
      if (k % 2 === 0) {
        image = pool(image, side, norm[0].length, 2);
        side = Math.floor(side / 2);
      }
      image = finish(image, ...norm);
    }
    image = pool(image, side, image.length / side ** 2, side);
    return weigh(image, weights[24], new Float64Array(10)).map((sum) => sum / 9);
  }

  // The mean of the logits over the picture and its mirror image.
  function answer(weights, pixels) {
    const mirrored = findLogits(weights, mirror(pixels));
    return softmax(findLogits(weights, pixels).map((logit, k) => (logit + mirrored[k]) / 2));
  }

  // Numbers of half precision: a sign, five bits of exponent, ten of fraction.
  function widen(halves) {
    return Float32Array.from(halves, (bits) => {
      const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
      const size = exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24;
      return bits >> 15 ? -size : size;
    });
  }

  function makeWidget({ runs }, { draw, drawImage, drawShare, findRival, loadData, unpack, writeShare }) {
    let network;
    let shown = {};

    async function loadNetwork() {
      const data = await loadData("cifar10_fast_network");
      if (!data) return null;
      const weights = data.weights.map(([kind, text]) =>
        kind === "float16" ? widen(unpack(text, Uint16Array)) : unpack(text, Float32Array),
      );
      return { classes: data.classes, weights };
    }

    async function work(file, update) {
      const tell = (what) => {
        // If another picture has been chosen meanwhile, only that one is reported.
        if (shown.file !== file) return;
        shown = { ...shown, ...what };
        update();
      };
      const picture = await createImageBitmap(file).catch(() => null);
      if (!picture) return tell({ said: "Your browser cannot read this file as a picture." });
      const pixels = shrink(picture);
      tell({ pixels, said: "Computing ..." });
      network = network || loadNetwork();
      const found = await network;
      if (!found) return tell({ said: "The network's weights are missing." });
      // The browser draws before it computes.
      await new Promise((go) => setTimeout(go, 50));
      const shares = answer(found.weights, pixels);
      const [first, second] = [findRival(shares), findRival(shares, findRival(shares))];
      const name = (k) => `${found.classes[k]} ${writeShare(shares[k])}`;
      tell({
        classes: found.classes,
        shares,
        said:
          `${name(first)}, then ${name(second)}. ` +
          "The network knows ten classes and must choose one of them, whatever the picture shows.",
      });
    }

    return {
      title: "Show it a picture of your own",
      width: 320,
      height: 1,
      controls: [{ name: "choose a picture, or drop one here:", accept: "image/*" }],
      runs: runs.filter(({ arrays }) => arrays),
      show(drawing, file, update) {
        if (file !== shown.file) {
          shown = { file, said: "Reading the picture ..." };
          if (file) work(file, update);
        }
        const { pixels, classes = [], shares } = shown;
        drawing.setAttribute("viewBox", `0 0 320 ${(pixels ? 150 : 1) + 24 * classes.length}`);
        if (pixels) drawImage(drawing, pixels, { x: 92, y: 0, size: 136 });
        classes.forEach((name, k) => drawShare(drawing, shares[k], { name, y: 150 + 24 * k }));
        return file ? shown.said : "The picture stays on your machine. The network is loaded with the first picture.";
      },
    };
  }

  window.bookWidgets = { ...window.bookWidgets, own_picture: makeWidget };
  // For tests that compare them with NumPy and Pillow.
  Object.assign(makeWidget, { shrink, widen });
})();
