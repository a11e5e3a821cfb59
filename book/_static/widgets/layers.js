// Layers of the networks that answer on a page. An image is a flat array, row by row, with
// the channels of a pixel side by side. A kernel is as Keras keeps it: row, column, input
// channel, filter.
(function () {
  "use strict";

  // Without padding. A kernel's numbers for one input are used on a whole row at once.
  function convolve(image, side, kernel, bias, size) {
    const filters = bias.length;
    const channels = kernel.length / (size * size * filters);
    const wide = side - size + 1;
    const found = new Float64Array(wide * wide * filters);
    for (let place = 0; place < wide * wide; place += 1) found.set(bias, place * filters);
    for (let y = 0; y < wide; y += 1) {
      for (let k = 0; k < size * size * channels; k += 1) {
        const row = Math.floor(k / (size * channels));
        const start = (y + row) * side * channels + (k % (size * channels));
        const weights = kernel.subarray(k * filters, (k + 1) * filters);
        for (let x = 0; x < wide; x += 1) {
          const value = image[start + x * channels];
          const at = (y * wide + x) * filters;
          for (let f = 0; value && f < filters; f += 1) found[at + f] += value * weights[f];
        }
      }
    }
    return found;
  }

  // A border of zeros, one pixel wide.
  function pad(image, side) {
    const row = image.length / side;
    const wide = row + (2 * row) / side;
    const padded = new Float64Array((side + 2) * wide);
    for (let y = 0; y < side; y += 1)
      padded.set(image.subarray(y * row, (y + 1) * row), (y + 1) * wide + row / side);
    return padded;
  }

  // The largest of every square; rows and columns that fill none are left out.
  function pool(image, side, channels, size) {
    const wide = Math.floor(side / size);
    const steps = Array.from({ length: size * size }, (_, k) => Math.floor(k / size) * side + (k % size));
    return Float64Array.from({ length: wide * wide * channels }, (_, k) => {
      const [place, channel] = [Math.floor(k / channels), k % channels];
      const corner = size * (Math.floor(place / wide) * side + (place % wide));
      return Math.max(...steps.map((step) => image[(corner + step) * channels + channel]));
    });
  }

  function average(image, channels) {
    const means = new Float64Array(channels);
    image.forEach((value, k) => (means[k % channels] += (value * channels) / image.length));
    return means;
  }

  function weigh(inputs, kernel, bias) {
    return Float64Array.from(bias, (start, k) =>
      inputs.reduce((sum, value, row) => sum + value * kernel[row * bias.length + k], start),
    );
  }

  // x times the share of a normal distribution that is below x: formula 7.1.26 of
  // Abramowitz and Stegun, good to seven digits.
  function gelu(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x) * Math.SQRT1_2);
    const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    const tail = (sum * Math.exp((-x * x) / 2)) / 2;
    return x * (x > 0 ? 1 - tail : tail);
  }

  function softmax(logits) {
    const powers = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
    const sum = powers.reduce((total, power) => total + power);
    return powers.map((power) => power / sum);
  }

  window.bookLayers = { average, convolve, gelu, pad, pool, softmax, weigh };
})();
