// Comforts only: every page works without this file.
"use strict";

// After a form came back with errors, a reader begins at them.
const errors = document.getElementById("errors");
if (errors) {
  errors.setAttribute("tabindex", "-1");
  errors.focus();
}

// A button that was pressed once does not send again while the answer is on its way.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent === "yes") {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  window.addEventListener("pageshow", () => delete form.dataset.sent, { once: true });
});
