// Holds a CloudFormation template against AWS's own schemas of its resources, as the package aws-service-spec has them: a JSON
// document on stdin, a line for each mistake on stdout. What a function yields is not known here, so it fits anywhere.
// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';

const spec = loadAwsServiceSpecSync();
const mistakes = [];

function isFunction(value) {
  const keys = value && typeof value === 'object' && !Array.isArray(value) ? Object.keys(value) : [];
  return keys.length === 1 && (keys[0] === 'Ref' || keys[0].startsWith('Fn::')) ? keys[0] : undefined;
}

const scalars = {
  string: (value) => ['string', 'number', 'boolean'].includes(typeof value),
  integer: (value) => Number.isInteger(Number(value)),
  number: (value) => value !== '' && Number.isFinite(Number(value)),
  boolean: (value) => [true, false, 'true', 'false'].includes(value),
  'date-time': (value) => !Number.isNaN(Date.parse(value)),
  json: () => true,
  null: (value) => value === null,
};

// The mistakes in a value of that type, each with its place.
function wrong(value, type, place) {
  const name = isFunction(value);
  if (name === 'Fn::If') return value[name].slice(1).flatMap((branch) => wrong(branch, type, place));
  if (name) return [];
  if (type.type === 'union') {
    const tried = type.types.map((one) => wrong(value, one, place));
    return tried.some((found) => found.length === 0) ? [] : tried[0];
  }
  if (type.type === 'array') {
    return Array.isArray(value) ? value.flatMap((one, i) => wrong(one, type.element, `${place}[${i}]`)) : [`${place}: a list is wanted`];
  }
  if (type.type === 'map') {
    return value && typeof value === 'object'
      ? Object.entries(value).flatMap(([key, one]) => wrong(one, type.element, `${place}.${key}`)) : [`${place}: a map is wanted`];
  }
  if (type.type === 'ref') return wrongMembers(value, spec.get('typeDefinition', type.reference).properties, place);
  if (type.type === 'tag') return wrongMembers(value, { Key: { type: { type: 'string' }, required: true }, Value: { type: { type: 'string' } } }, place);
  if (!scalars[type.type]) return [`${place}: the schema has the unknown type ${type.type}`];
  if ((typeof value === 'object' && type.type !== 'json' && value !== null) || !scalars[type.type](value)) return [`${place}: ${type.type} is wanted`];
  return [];
}

function wrongMembers(value, properties, place) {
  if (!value || typeof value !== 'object' || Array.isArray(value)) return [`${place}: an object is wanted`];
  return [
    ...Object.entries(properties).filter(([name, property]) => property.required && !(name in value)).map(([name]) => `${place}: ${name} is missing`),
    ...Object.entries(value).flatMap(([name, one]) => (properties[name]
      ? wrong(one, properties[name].type, `${place}.${name}`) : [`${place}: ${name} is unknown`])),
  ];
}

function resourceType(name) {
  return [...spec.lookup('resource', 'cloudFormationType', 'equals', name)][0];
}

// { Fn::GetAtt: [resource, attribute] }, anywhere below.
function gotten(value) {
  if (!value || typeof value !== 'object') return [];
  const here = value['Fn::GetAtt'] ? [value['Fn::GetAtt']] : [];
  return [...here, ...Object.values(value).flatMap(gotten)];
}

const template = JSON.parse(readFileSync(0, 'utf8'));
for (const [name, resource] of Object.entries(template.Resources)) {
  const type = resourceType(resource.Type);
  if (type) mistakes.push(...wrongMembers(resource.Properties ?? {}, type.properties, name));
  else mistakes.push(`${name}: ${resource.Type} is unknown`);
}
for (const [name, attribute] of gotten(template)) {
  const type = resourceType(template.Resources[name]?.Type);
  if (type && !(attribute in type.attributes) && !(attribute in type.properties)) mistakes.push(`${name} has no attribute ${attribute}`);
}
for (const mistake of mistakes) console.log(mistake);
