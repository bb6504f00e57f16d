"use strict";
// Asks the worker, a thread that computes what takes longer than a frame; the newest request of each kind wins.

const newest = {}; // by kind: the id of the request, and the function that receives its results
const worker = startWorker();
let requests = 0;

function startWorker() {
  const source = ["shared", "worker"].map((id) => element(id).textContent).join("\n");
  const address = URL.createObjectURL(new Blob([source], {type: "text/javascript"}));
  const made = new Worker(address);
  URL.revokeObjectURL(address);
  made.onmessage = ({data: {kind, id, result, error}}) => {
    if (newest[kind]?.id !== id) return;
    if (error === undefined) newest[kind].receive(result);
    else tell(new Error(error));
  };
  made.onerror = (event) => tell(new Error(event.message || "this browser starts no thread for the page"));
  made.postMessage({setup: {
    ...data.served ? {served: data.served, page: document.baseURI} : {programs: data.programs, constants: data.constants},
    units: K,
    features: D,
    train: {count: train.count, codes: train.codes, logVariances: readConstant(data.train.logVariances)},
  }});
  return made;
}

function ask(kind, request, receive) {
  newest[kind] = {id: ++requests, receive};
  worker.postMessage({kind, id: requests, request: {...request, condition: condition()}});
}

function cancel(kind) {
  delete newest[kind];
  worker.postMessage({kind});
}

function tell(error) {
  element("notes").textContent = data.served
    ? `The server of this page does not answer (${error.message}); start it again, and open its new address.`
    : error.message;
  console.error(error);
}
