// Forms that a passkey answers: data-passkey is what it does, data-options where its question is.
"use strict";

const supported =
  window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON && PublicKeyCredential.parseCreationOptionsFromJSON;

async function answered(form) {
  const options = await fetch(form.dataset.options, { headers: { Accept: "application/json" } });
  if (!options.ok) {
    throw new Error("no question");
  }
  const question = await options.json();
  const credential =
    form.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(question) })
      : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(question) });
  return JSON.stringify(credential);
}

for (const form of supported ? document.querySelectorAll("form[data-passkey]") : []) {
  form.hidden = false;
  const section = form.closest("section[hidden]");
  if (section) {
    section.hidden = false;
  }
  form.addEventListener("submit", async (event) => {
    if (form.elements.passkey.value) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const told = form.querySelector("[role=alert]");
    told.textContent = "";
    try {
      form.elements.passkey.value = await answered(form);
    } catch {
      told.textContent = "The passkey did not answer. Nothing was done; try again.";
      return;
    }
    form.submit();
  });
}
