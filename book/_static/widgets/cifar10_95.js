// How the mean answer about an image settles with more versions and more networks.
(function () {
  "use strict";

  function makeWidget(data, { drawImage, drawShare, findRival, unpack }) {
    const { classes, labels, draws, members } = data;
    const images = data.images.map((text) => unpack(text, Uint8Array));
    // Of 65,535: for every member, version, image and class.
    const answers = unpack(data.answers, Uint16Array);

    function average(image, versions, networks) {
      const mean = classes.map(() => 0);
      for (let member = 0; member < networks; member += 1) {
        for (let version = 0; version < versions; version += 1) {
          const start = ((member * draws + version) * images.length + image) * classes.length;
          mean.forEach((_, k) => (mean[k] += answers[start + k] / 65535 / versions / networks));
        }
      }
      return mean;
    }

    const settled = images.map((_, image) => average(image, draws, members));
    const controls = [{ name: "versions of each image", min: 1, max: draws, step: 1, start: 1 }];
    if (members > 1) controls.push({ name: "networks", min: 1, max: members, step: 1, start: 1 });
    return {
      title: "Average over versions and networks yourself",
      width: 320,
      height: 318,
      controls,
      show(drawing, versions, networks = 1) {
        let right = 0;
        let distance = 0;
        images.forEach((pixels, k) => {
          const mean = average(k, versions, networks);
          const rival = findRival(mean, labels[k]);
          right += mean[labels[k]] > mean[rival];
          distance += Math.abs(mean[labels[k]] - settled[k][labels[k]]) / images.length;
          const y = 54 * k;
          drawImage(drawing, pixels, { x: 0, y, size: 46 });
          [[labels[k], "bar"], [rival, "wrong"]].forEach(([shown, kind], row) =>
            drawShare(drawing, mean[shown], {
              name: classes[shown],
              y: y + 4 + 22 * row,
              x: 132,
              width: 136,
              kind,
              target: settled[k][shown],
            }),
          );
        });
        const asked = `${versions} ${versions > 1 ? "versions" : "version"} and ${networks} ${networks > 1 ? "networks" : "network"}`;
        return (
          `Mean over ${asked}: ${right} of ${images.length} images right. On average the probability of the right class is ` +
          `${(100 * distance).toFixed(1)} points from where it settles (the marks).`
        );
      },
    };
  }

  window.bookWidgets = { ...window.bookWidgets, cifar10_95: makeWidget };
})();
