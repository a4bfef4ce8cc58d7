// What the engine does otherwise than docs/conventions.md, "Drawing", and the words of its shaders that say so.
//
// The engine's own splat shaders are kept and a few words of them replaced, so that what differs can be read here.
// The words are those of the pinned build in vendor/: where one is not found, nothing is drawn by guesswork.

export const REFERENCE = "reference";
export const ENGINE = "engine";

/** What each set of rules means, for people. */
export const RULE_NAMES = {
  [REFERENCE]: "gstalker's rules: the picture of the reference renderer",
  [ENGINE]: "the engine's own rules",
};

const EDITS = [
  // Covariances are in half pixels: 0.3 px^2 is 1.2 there.
  ["gsplatCornerVS", "float diagonal1 = cov[0][0] + 0.3;", "float diagonal1 = cov[0][0] + 1.2;"],
  ["gsplatCornerVS", "float diagonal2 = cov[1][1] + 0.3;", "float diagonal2 = cov[1][1] + 1.2;"],
  // The Jacobian is taken no further out than 30 % of half the picture beyond its border.
  [
    "gsplatCornerVS",
    "vec2 J2 = -J1 / vp.z * vp.xy;",
    `vec2 inPicture = clamp(center.proj.xy / center.proj.w, vec2(-1.3), vec2(1.3));
     vec2 shift = vec2(matrix_projection[2][0], matrix_projection[2][1]);
     vec2 J2 = J1 * (inPicture + shift) / vec2(center.projMat00, center.projMat11);`,
  ],
  // A splat reaches to where its alpha falls below 1/255, up to 1.18 times as far as the engine's falloff goes.
  ["gsplatCornerVS", "- vec2(max(l1, l2)) * c,", "- vec2(1.18 * max(l1, l2)) * c,"],
  ["gsplatCommonVS", "min(1.0, sqrt(max(0.0, log(alpha / alphaClipValue))) * 0.5)", "0.5 * sqrt(max(0.0, log(alpha / alphaClipValue)))"],
  ["gsplatPS", "if (A > 1.0) {", "if (A > 1.4) {"],
  // The falloff is the Gaussian itself, and no splat hides all that is behind it.
  ["gsplatPS", "return (exp(x * -4.0) - EXP4) * INV_EXP4;", "return exp(x * -4.0);"],
  ["gsplatPS", "mediump float A = dot(gaussianUV, gaussianUV);", "highp float A = dot(gaussianUV, gaussianUV);"],
  [
    "gsplatPS",
    "mediump float alpha = normExp(A) * gaussianColor.a;",
    "highp float alpha = min(0.999, normExp(A) * gaussianColor.a);",
  ],
  // Half floats, which phones use for mediump, have too few bits for any of this.
  ["gsplatPS", "varying mediump vec2 gaussianUV;", "varying highp vec2 gaussianUV;"],
  ["gsplatPS", "flat varying mediump vec4 gaussianColor;", "flat varying highp vec4 gaussianColor;"],
  ["gsplatVS", "varying mediump vec2 gaussianUV;", "varying highp vec2 gaussianUV;"],
  ["gsplatVS", "flat varying mediump vec4 gaussianColor;", "flat varying highp vec4 gaussianColor;"],
];

/**
 * Have the engine draw splats by these rules.
 *
 * @param {object} engine the engine's module
 * @param {object} app its application
 * @param {string} rules REFERENCE or ENGINE
 */
export function applyRules(engine, app, rules) {
  const splats = app.scene.gsplat;
  const overrides = splats.material.shaderChunks.glsl;
  const originals = engine.ShaderChunks.get(app.graphicsDevice, engine.SHADERLANGUAGE_GLSL);
  for (const name of new Set(EDITS.map(([chunk]) => chunk))) {
    // Both sets of rules override, so that switching back is seen by the engine as a change as well.
    overrides.set(name, rules === REFERENCE ? edited(name, originals.get(name)) : originals.get(name));
  }
  splats.dataFormat = rules === REFERENCE ? engine.GSPLATDATA_LARGE : engine.GSPLATDATA_COMPACT;
  splats.minPixelSize = rules === REFERENCE ? 0 : 2;
  splats.material.update();
}

function edited(chunk, source) {
  let text = source;
  for (const [name, words, replacement] of EDITS) {
    if (name !== chunk) continue;
    if (text.split(words).length !== 2) {
      throw new Error(`${chunk}: expected "${words}" once in the engine's shader; this is not the pinned build.`);
    }
    text = text.replace(words, () => replacement);
  }
  return text;
}
