// The control interface, as any program uses it. /openapi.json describes it.

async function ask(method, path, body) {
  const options = { method, cache: "no-store" };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Error(`${answer.error.where}: ${answer.error.what}. ${answer.error.remedy}`);
  return answer;
}

const query = (values) => {
  const words = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined));
  return words.size ? `?${words}` : "";
};

export const get = (path, values = {}) => ask("GET", path + query(values));
export const post = (path, body) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);
export const segment = encodeURIComponent;
