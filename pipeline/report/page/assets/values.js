// Building what is shown: elements from values, never from text that could be markup.
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}
const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

let toastTimer = 0;
function toast(text) {
  // A modal dialog hides what is outside it from everybody who listens, so the word goes where people are.
  (byId("details").open ? byId("details") : document.body).append(byId("toast"));
  byId("toast").textContent = text;
  byId("toast").classList.add("on");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => byId("toast").classList.remove("on"), 1800);
}

async function copy(text, near) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { class: "hidden", "aria-hidden": "true" });
    area.value = text;
    near.after(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    near.focus();
    if (!done) return toast(say("copy_failed"));
  }
  toast(say("copied"));
}

function copyButton(word, text, kind = "quiet") {
  const button = make("button", { type: "button", class: kind }, say(word));
  button.addEventListener("click", () => copy(text(), button));
  return button;
}

const commandLine = (text) => make("div", { class: "command" }, make("code", {}, text), copyButton("copy_command", () => text));
